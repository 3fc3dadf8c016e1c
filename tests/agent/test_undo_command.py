"""`agent undo` and `agent diff` as a user has them: real commands, a scripted model."""

import json
import os
import pty
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from agent import sessions
from tests.agent.conftest import Command, environment
from tests.scripted_endpoint import Behaviour, ScriptedEndpoint, call, text

Ask = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture
def ask(command: Command) -> Ask:
    """`agent ask` with a model that makes these calls; nobody has to permit them."""

    def go(*script: Behaviour, flags: tuple[str, ...] = (), **options: Any) -> Any:
        with ScriptedEndpoint([*script, text("Done.")]) as endpoint:
            model = ("--base-url", endpoint.base_url, "--model", "scripted")
            mode = ("--permission-mode", "accept-edits")
            question = () if "--batch" in flags else ("Change it.",)
            return command("ask", *question, *model, *mode, *flags, **options)

    return go


@pytest.fixture
def changed(ask: Ask, codebase: Path) -> Path:
    """A file with a byte order mark edited, and one created in a new directory."""
    (codebase / "bom.txt").write_bytes(b"\xef\xbb\xbfone\r\ntwo")
    (codebase / "bom.txt").chmod(0o640)
    done = ask(
        call("edit_file", path="bom.txt", old="two", new="three"),
        call("write_file", path="docs/deep/new.md", content="# New\n"),
    )
    assert done.returncode == 0, done.stderr
    assert (codebase / "bom.txt").read_bytes() == b"\xef\xbb\xbfone\r\nthree"
    return codebase


def state(home: Path) -> Path:
    return home / ".local" / "state" / "agent"


def test_undo_takes_back_one_write_then_all_then_nothing(changed: Path, command: Command) -> None:
    would = command("undo", "2", "--dry-run")
    assert would.stdout == "would remove docs/deep/new.md\nwould restore bom.txt\n"
    done = command("undo")
    assert (done.returncode, done.stdout) == (0, "removed docs/deep/new.md\n")
    assert not (changed / "docs").exists()
    done = command("undo", "--all")
    assert (done.returncode, done.stdout) == (0, "restored bom.txt\n")
    assert (changed / "bom.txt").read_bytes() == b"\xef\xbb\xbfone\r\ntwo"
    assert (changed / "bom.txt").stat().st_mode & 0o777 == 0o640
    done = command("undo")
    assert done.returncode == 0
    assert done.stdout.startswith("There is nothing to undo in session ")


def test_what_changed_since_is_named_and_left_alone(changed: Path, command: Command) -> None:
    (changed / "docs" / "deep" / "new.md").write_text("# Mine\n")
    done = command("undo", "--all")
    assert done.returncode == 1
    assert done.stdout == (
        "docs/deep/new.md changed since the assistant wrote it, so it was left alone; "
        "delete it yourself if nobody needs it\nrestored bom.txt\n"
    )
    assert (changed / "docs" / "deep" / "new.md").read_text() == "# Mine\n"


def test_undo_from_elsewhere(changed: Path, command: Command, tmp_path: Path) -> None:
    done = command("undo", "--all", "-C", str(changed), cwd=tmp_path)
    assert done.returncode == 0
    assert not (changed / "docs").exists()
    nothing = command("undo", cwd=tmp_path)
    assert nothing.stdout == (
        f"There is nothing to undo: no session wrote anything in {tmp_path.resolve()}.\n"
    )


def test_an_earlier_session(changed: Path, ask: Ask, command: Command) -> None:
    done = ask(
        call("write_file", path="second.txt", content="2"), flags=("--output-format", "json")
    )
    second = json.loads(done.stdout)["session_id"]
    assert command("undo").stdout == "removed second.txt\n"
    told = command("undo").stdout
    assert f"nothing to undo in session {second}" in told
    first = told.rpartition("--session ")[2].strip()
    assert command("undo", "--all", "--session", first[:8]).returncode == 0
    assert not (changed / "docs").exists()
    assert "--session" not in command("undo").stdout


def test_the_session_says_what_was_undone(changed: Path, command: Command, tmp_path: Path) -> None:
    command("undo", "--all")
    [session] = sessions.paths(changed, state(tmp_path))
    rows = [json.loads(line) for line in session.read_text().splitlines()]
    undone = [(row["path"], row["outcome"]) for row in rows if row["kind"] == "undone"]
    assert undone == [("docs/deep/new.md", "removed"), ("bom.txt", "restored")]
    [checkpoints] = (state(tmp_path) / "checkpoints").glob("*/*")
    assert checkpoints.name == session.stem


def test_nothing_is_kept_in_the_repository_nor_where_nobody_wants_it(
    ask: Ask, codebase: Path, command: Command, tmp_path: Path
) -> None:
    ask(call("write_file", path="x.txt", content="x"), flags=("--no-session",))
    assert not (state(tmp_path) / "checkpoints").exists()
    ask(call("write_file", path="y.txt", content="y"))
    assert not [path for path in codebase.rglob("*") if "checkpoint" in path.name]
    assert command("undo", "--all").stdout == "removed y.txt\n"


def test_a_batch_is_taken_back_row_by_row(
    ask: Ask, codebase: Path, command: Command, tmp_path: Path
) -> None:
    rows = tmp_path / "rows.jsonl"
    rows.write_text('{"question": "one"}\n{"question": "two"}\n')
    done = ask(
        call("write_file", path="1.txt", content="1"),
        text("Done."),
        call("write_file", path="2.txt", content="2"),
        flags=("--batch", str(rows)),
    )
    assert done.returncode == 0, done.stderr
    first, second = (json.loads(line)["session_id"] for line in done.stdout.splitlines())
    assert command("undo", "--all", "--session", first).stdout == "removed 1.txt\n"
    assert command("undo", "--all", "--session", second).stdout == "removed 2.txt\n"


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        (("undo", "0"), "'0' is no whole number of at least 1"),
        (("undo", "many"), "'many' is no whole number of at least 1"),
        (("undo", "2", "--all"), "not allowed with"),
        (("undo", "--session", "zzz"), "Nothing was written by session 'zzz'"),
        (("diff", "--session", "../.."), "Nothing was written by session '../..'"),
        (("undo", "-C", "nowhere"), "There is no directory 'nowhere'."),
        (("diff", "-C", "nowhere"), "There is no directory 'nowhere'."),
    ],
)
def test_wrong_input_is_told_in_a_sentence(
    changed: Path, command: Command, arguments: tuple[str, ...], problem: str
) -> None:
    done = command(*arguments)
    assert done.returncode == 2
    assert problem in done.stderr.splitlines()[-1]
    assert "Traceback" not in done.stderr


def test_diff_shows_what_stands(changed: Path, command: Command) -> None:
    done = command("diff", text=False)
    assert done.stdout.decode() == (
        "--- a/bom.txt\n+++ b/bom.txt\n@@ -1,2 +1,2 @@\n \ufeffone\r\n"
        "-two\n\\ No newline at end of file\n+three\n\\ No newline at end of file\n"
        "--- /dev/null\n+++ b/docs/deep/new.md\n@@ -0,0 +1 @@\n+# New\n"
    )
    command("undo", "--all")
    done = command("diff")
    assert (done.returncode, done.stdout) == (0, "")
    assert done.stderr == "The assistant changed nothing that still stands.\n"


@pytest.mark.parametrize(("variables", "coloured"), [({}, True), ({"NO_COLOR": "1"}, False)])
def test_diff_on_a_terminal_is_coloured_and_harmless(
    ask: Ask, codebase: Path, tmp_path: Path, variables: dict[str, str], coloured: bool
) -> None:
    ask(call("write_file", path="x.txt", content="\x1b]52;c;aGk=\x07evil\n"))
    ours, theirs = pty.openpty()
    subprocess.run(
        [sys.executable, "-m", "agent", "diff"],
        cwd=codebase,
        env=environment(tmp_path, TERM="xterm", **variables),
        stdin=subprocess.DEVNULL,
        stdout=theirs,
        check=True,
    )
    os.close(theirs)
    shown = b""
    try:
        while piece := os.read(ours, 4096):
            shown += piece
    except OSError:  # how Linux says that nobody writes any more
        pass
    os.close(ours)
    assert b"\x1b]52" not in shown
    assert (b"\x1b[32m+evil\x1b[0m" in shown) is coloured
    assert b"+evil" in shown
