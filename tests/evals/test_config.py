"""`bench.toml` and the flags that name models: what is wrong is one sentence with file and key."""

from pathlib import Path

import pytest

from agent.exits import UsageError
from agent_evals import config
from agent_evals.config import Configuration

REMOTE = 'base_url = "http://127.0.0.1:9/v1"\nmodel = "m"\n'


def file(folder: Path, *tables: str) -> Path:
    path = folder / "bench.toml"
    path.write_text("".join(f"[[configuration]]\n{table}\n" for table in tables))
    return path


def model(folder: Path) -> Path:
    """What looks like a model, as long as nobody loads it."""
    folder.mkdir()
    (folder / "config.json").write_text("{}")
    (folder / "model.safetensors").write_bytes(b"weights")
    return folder


def test_every_table_is_a_configuration(tmp_path: Path) -> None:
    model(tmp_path / "fused")
    path = file(
        tmp_path,
        'name = "fused"\nmodel = "fused"',
        f'name = "far"\n{REMOTE}weights = "sha256:1"\nmax_tokens = 64\ntemperature = 0.5',
        'name = "embedded"',
    )
    fused, far, embedded = config.from_file(path)
    assert fused == Configuration("fused", str(tmp_path / "fused"))
    assert far.weights == "sha256:1"
    assert (far.settings().max_tokens, far.settings().temperature) == (64, 0.5)
    assert embedded.is_embedded and embedded.settings().model is None


@pytest.mark.parametrize(
    ("table", "said"),
    [
        ('name = "x"\nmodle = "m"', "configuration 'x': unknown key 'modle'; the keys are name, m"),
        ("name = 3", "configuration 1: name: Input should be a valid string"),
        ('model = "embedded"', "configuration 1: 'name' is missing"),
        ('name = "x"\nmodel = "./gone"', "configuration 'x': no model at"),
        ('name = "x"\nadapter = "a"', "configuration 'x': adapter needs model"),
        (f'name = "x"\n{REMOTE}adapter = "a"', "configuration 'x': adapter needs a model that we"),
        (f'name = "x"\n{REMOTE}api_key_env = "NO_SUCH"', "the variable NO_SUCH is not set"),
        ('name = "x"\nmax_tokens = 0', "configuration 'x': max_tokens: Input should be greater"),
        ("name = ", "is not valid TOML"),
    ],
)
def test_what_is_wrong_is_named(tmp_path: Path, table: str, said: str) -> None:
    path = file(tmp_path, table)
    with pytest.raises(UsageError, match=r"bench\.toml") as raised:
        config.from_file(path)
    assert said in str(raised.value)
    assert str(raised.value).count("\n") == 0


def test_files_that_hold_no_configuration(tmp_path: Path) -> None:
    path = tmp_path / "bench.toml"
    with pytest.raises(UsageError, match="cannot be read"):
        config.from_file(path)
    path.write_text("")
    with pytest.raises(UsageError, match=r"no \[\[configuration\]\] table"):
        config.from_file(path)
    path.write_text("\n[configurations]\n")
    with pytest.raises(UsageError, match="line 2: unknown key 'configurations'"):
        config.from_file(path)


def test_a_name_is_there_once(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="the name 'x' is there twice"):
        config.from_file(file(tmp_path, f'name = "x"\n{REMOTE}', 'name = "x"'))
    with pytest.raises(UsageError, match="--models: the name 'm' is there twice"):
        config.from_flags(["m", "m"], "http://127.0.0.1:9/v1", None)


def test_models_by_name() -> None:
    first, second = config.from_flags(["m", "n"], "http://127.0.0.1:9/v1", None)
    assert (first.name, second.name) == ("m", "n")
    assert config.from_flags([None], None, None) == [Configuration("embedded")]
    with pytest.raises(UsageError, match="the command line: no model at"):
        config.from_flags(["./gone"], None, None)


def test_other_files_make_another_configuration(tmp_path: Path) -> None:
    folder = model(tmp_path / "fused")
    before = Configuration("fused", str(folder)).content()
    assert Configuration("fused", str(folder)).content() == before
    (folder / "model.safetensors").write_bytes(b"other weights")
    assert Configuration("fused", str(folder)).content() != before


def test_a_key_is_used_and_never_written_down(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FAR_KEY", "precious")
    (far,) = config.from_file(file(tmp_path, f'name = "far"\n{REMOTE}api_key_env = "FAR_KEY"'))
    assert far.settings().api_key == "precious"
    assert "precious" not in repr(far)
