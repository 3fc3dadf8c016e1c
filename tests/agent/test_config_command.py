"""`agent config`: every setting, its value, where it came from, what it means."""

import json
from pathlib import Path
from typing import Any

import pytest

from agent import settings, trust
from agent.exits import Exit
from tests.agent.conftest import Command, environment

KEY = "sk-the-users-own-key-0123456789"


@pytest.fixture(autouse=True)
def user_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    path = settings.user_file()
    path.parent.mkdir(parents=True)
    return path


def rows(done: Any) -> dict[str, dict[str, Any]]:
    assert done.returncode == 0, done.stderr
    return {row["name"]: row for row in json.loads(done.stdout)}


def test_every_setting_its_origin_and_meaning(
    command: Command, codebase: Path, user_file: Path, tmp_path: Path
) -> None:
    user_file.write_text(
        "max_turns = 1\nmax_tokens = 1\ntimeout = 1\nmodel = 'mine'\n"
        "[permissions]\ndeny = ['grep(*.sql)']\n"
        f"[permissions.'{codebase}']\nallow = ['edit_file(src/**)']\n"
        "[permissions.'/elsewhere']\nallow = ['*']\n"
    )
    (codebase / ".agent").mkdir()
    (codebase / trust.FILE).write_text(
        "max_turns = 2\nmax_tokens = 2\ntimeout = 2\n[permissions]\ndeny = ['read_file(*.key)']\n"
    )
    trust.trust(codebase)
    env = environment(tmp_path, AGENT_MAX_TOKENS="3", AGENT_TIMEOUT="3", AGENT_API_KEY=KEY)
    done = command("config", "--json", "--timeout", "4", env=env)
    got = rows(done)
    assert {name: (got[name]["value"], got[name]["origin"]) for name in (
        "retries", "model", "max_turns", "max_tokens", "timeout", "permissions.allow",
        "permissions.ask", "permissions.deny",
    )} == {
        "retries": (3, "default"),
        "model": ("mine", str(user_file)),
        "max_turns": (2, ".agent/config.toml"),
        "max_tokens": (3, "AGENT_MAX_TOKENS"),
        "timeout": (4.0, "--timeout"),
        "permissions.allow": (["edit_file(src/**)"], str(user_file)),
        "permissions.ask": ([], "default"),
        "permissions.deny": (
            ["grep(*.sql)", "read_file(*.key)"], f"{user_file} and .agent/config.toml"
        ),
    }  # fmt: skip
    assert set(settings.meanings()) < set(got) and all(row["meaning"] for row in got.values())
    assert got["api_key"]["value"] == "...6789"
    text = command("config", env=env)
    assert KEY not in done.stdout + done.stderr + text.stdout + text.stderr
    for row in got.values():
        assert f"{row['name']} = " in text.stdout and row["meaning"] in text.stdout
    assert max(map(len, text.stdout.splitlines())) < 200


@pytest.mark.parametrize(
    ("content", "says"),
    [
        ("a = 1\n", "line 1: unknown setting 'a'"),
        ("\n# x\nmodel = 'm'\nmax_turns = 0\n", "line 4: max_turns must be"),
        ("stop = [\n 'a',\n 3,\n]\n", "line 1: stop must be"),
        ("[permissions]\nallow = []\n\ndeny = [\n 'grep(../x)']\n",
         "line 4: permissions.deny holds 'grep(../x)', which can match nothing"),
        ("[permissions]\nforbid = []\n", "line 2: permissions has no key 'forbid'"),
        ("[permissions.'/x']\nallow = ['read_file(.env)']\n", "line 2: permissions.allow holds"),
        ("permissions = 3\n", "line 1: 'permissions' must be a table"),
        ("[permissions]\ndeny = ['grap']\n", "permissions.deny: 'grap' names no tool"),
        ("model = 'm'\nx = \n", "(at line 2, column 5)"),
        (f"api_key = ['{KEY}']\n", "line 1: api_key must be a text"),
    ],
)  # fmt: skip
def test_a_wrong_file_is_reported_with_file_line_and_key(
    command: Command, user_file: Path, content: str, says: str
) -> None:
    user_file.write_text(content)
    done = command("config")
    assert done.returncode == Exit.USAGE and done.stdout == ""
    assert says in done.stderr and done.stderr.count("\n") == 1
    assert KEY not in done.stderr
    assert "names no tool" in says or str(user_file) in done.stderr


def test_a_password_in_a_url_is_not_shown(command: Command) -> None:
    got = rows(command("config", "--json", "--base-url", "http://me:hunter2@host/v1"))
    assert got["base_url"]["value"] == "http://...@host/v1"


def test_an_untrusted_file_is_named_and_not_honoured(command: Command, codebase: Path) -> None:
    (codebase / ".agent").mkdir()
    (codebase / trust.FILE).write_text("this is = no TOML [")
    done = command("config")
    assert done.returncode == 0
    assert "not trusted, nothing in it counts" in done.stdout


def test_a_variable_and_a_flag_are_named_when_wrong(command: Command, tmp_path: Path) -> None:
    done = command("config", env=environment(tmp_path, AGENT_MAX_TURNS="many"))
    assert "AGENT_MAX_TURNS must be a whole number" in done.stderr
    assert "--max-turns must be" in command("config", "--max-turns", "0").stderr
    assert command("config", "-C", "nowhere").returncode == Exit.USAGE
