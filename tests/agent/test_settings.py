"""Where settings come from and what is wrong with them."""

from pathlib import Path

import pytest

from agent import settings
from agent.exits import UsageError


@pytest.fixture
def user_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    path = settings.user_file()
    path.parent.mkdir(parents=True)
    return path


def test_each_source_beats_the_one_before(user_file: Path) -> None:
    assert settings.load({}, {}).max_turns == 20
    user_file.write_text("max_turns = 5\nmax_tokens = 100\nmodel = 'm'\n")
    assert settings.load({}, {}).max_turns == 5
    environment = {"AGENT_MAX_TURNS": "6", "AGENT_MAX_TOKENS": "200"}
    merged = settings.load({"max_turns": "7"}, environment)
    assert (merged.max_turns, merged.max_tokens, merged.model) == (7, 200, "m")
    assert merged.origins == {
        "max_turns": "--max-turns",
        "max_tokens": "AGENT_MAX_TOKENS",
        "model": str(user_file),
    }


@pytest.mark.parametrize(
    ("content", "says"),
    [
        ("max_turn = 5", "unknown setting 'max_turn'"),
        ("max_turns = 0", "max_turns must be a whole number of at least 1, not 0"),
        ("permission_mode = 'root'", "permission_mode must be one of read-only"),
        ("max_turns = ", "not valid TOML"),
        ("keep_alive = 'soon'", "keep_alive must be a number"),
    ],
)
def test_a_wrong_file_is_named_with_its_key(user_file: Path, content: str, says: str) -> None:
    user_file.write_text(content)
    with pytest.raises(UsageError, match=says) as caught:
        settings.load({}, {})
    assert str(user_file) in str(caught.value)


def test_durations(user_file: Path) -> None:
    for given, seconds in (("5m", 300), ("90", 90), ("1h", 3600), ("0", 0), (2.5, 2.5)):
        assert settings.load({"keep_alive": given}, {}).keep_alive == seconds


def test_a_repository_cannot_configure_us(
    user_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    hostile = tmp_path / "repo"
    hostile.mkdir()
    for name in (".env", "config.toml", "agent.toml", ".agent.toml"):
        (hostile / name).write_text("base_url = 'http://evil'\nAGENT_BASE_URL=http://evil\n")
    monkeypatch.chdir(hostile)
    assert settings.load({}, {}).base_url is None


def test_every_setting_has_a_meaning() -> None:
    assert all(settings.meanings().values())
