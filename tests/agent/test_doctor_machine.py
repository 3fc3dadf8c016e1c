"""What `agent doctor` says of this machine."""

import os
import pty
import subprocess
import sys
from pathlib import Path

import pytest

from agent.doctor import machine
from agent_tools import confine
from tests.agent.conftest import environment


def test_rg_php_and_blas_are_really_run() -> None:
    assert machine.rg().finding.startswith("ripgrep ")
    assert machine.rg().status == machine.php().status == "ok"
    assert "GFLOP/s" in machine.blas().finding


def test_php_without_php(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    found = machine.php()
    assert (found.status, "tree-sitter" in found.finding) == ("ok", True)
    assert "php-cli" in found.advice


def test_what_confines_rg_and_php(monkeypatch: pytest.MonkeyPatch) -> None:
    found = machine.confinement()
    if confine.version():
        assert (found.status, "can only read" in found.finding) == ("ok", True)
    # As on macOS and on older kernels.
    monkeypatch.setattr(confine, "version", lambda: 0)
    found = machine.confinement()
    assert (found.status, "no Landlock" in found.finding) == ("warning", True)


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in ("STATE", "CONFIG", "CACHE"):
        monkeypatch.setenv(f"XDG_{name}_HOME", str(tmp_path / name.lower()))
    monkeypatch.setenv("HOME", str(tmp_path))
    return tmp_path


linux = pytest.mark.skipif(sys.platform != "linux", reason="XDG folders")


@linux
def test_folders_that_are_not_there_yet_are_not_made(home: Path) -> None:
    assert machine.folders().status == "ok"
    assert list(home.iterdir()) == []


@linux
def test_a_folder_that_others_may_write(home: Path) -> None:
    folder = home / "state" / "agent"
    folder.mkdir(parents=True)
    folder.chmod(0o777)
    found = machine.folders()
    assert found.status == "problem"
    assert f"chmod 700 {folder}" in found.advice


@linux
def test_a_session_that_others_may_read(home: Path) -> None:
    session = home / "state" / "agent" / "sessions" / "a.jsonl"
    session.parent.mkdir(parents=True)
    session.touch(mode=0o600)
    assert machine.folders().status == "ok"
    session.chmod(0o644)
    found = machine.folders()
    assert (found.status, str(session) in found.advice) == ("warning", True)
    session.parent.chmod(0o700)
    assert machine.folders().status == "ok"


@linux
def test_a_key_that_others_may_read(home: Path) -> None:
    settings = home / "config" / "agent" / "config.toml"
    settings.parent.mkdir(parents=True)
    settings.write_text('model = "x"\n')
    settings.chmod(0o644)
    assert machine.folders().status == "ok"
    settings.write_text('api_key = "x"\n')
    assert machine.folders().status == "warning"


@linux
def test_a_file_in_the_place_of_a_folder(home: Path) -> None:
    (home / "state").write_text("")
    assert "is not a folder" in machine.folders().finding


def in_terminal(tmp_path: Path, **variables: str) -> str:
    """What the terminal check says in a pseudo-terminal."""
    program = "from agent.doctor.machine import terminal; print(terminal())"
    ours, theirs = pty.openpty()
    done = subprocess.Popen(
        [sys.executable, "-c", program],
        stdin=theirs, stdout=theirs, env=environment(tmp_path, **variables),
    )  # fmt: skip
    os.close(theirs)
    said = b""
    try:
        while piece := os.read(ours, 1000):
            said += piece
    except OSError:
        pass  # Linux: the other side is closed
    os.close(ours)
    assert done.wait() == 0
    return said.decode()


@pytest.mark.parametrize(
    ("variables", "words"),
    [
        ({"TERM": "xterm-256color", "COLUMNS": "100"}, "100 columns, colour (xterm-256color)"),
        ({"TERM": "xterm", "COLUMNS": "100", "NO_COLOR": "1"}, "no colour"),
        ({"TERM": "xterm", "COLUMNS": "60"}, "60 columns wide"),
        ({"TERM": "dumb", "COLUMNS": "100"}, "TERM is dumb"),
        ({"TERM": "xterm", "PYTHONIOENCODING": "ascii"}, "encoding is ascii"),
    ],
)
def test_terminal(tmp_path: Path, variables: dict[str, str], words: str) -> None:
    assert words in in_terminal(tmp_path, **variables)
