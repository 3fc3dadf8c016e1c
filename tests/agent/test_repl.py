"""The conversation at a terminal, through a real PTY."""

import json
import re
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

import pytest

from agent.exits import Exit
from agent.repl.completion import matching
from agent.repl.line import fitting, wrapped
from agent.repl.repl import without_mentions
from agent.repl.view import split_blocks
from tests.agent.screen import Screen
from tests.scripted_endpoint import MODEL, Behaviour, ScriptedEndpoint, call, stall, text

Open = Callable[..., AbstractContextManager[Screen]]
READY = r"scripted · ask"


@pytest.fixture
def home(tmp_path: Path) -> dict[str, str]:
    folder = tmp_path / "home"
    return {
        "HOME": str(folder),
        "XDG_STATE_HOME": str(folder / "state"),
        "XDG_CONFIG_HOME": str(folder / "config"),
    }


@contextmanager
def conversation(
    codebase: Path,
    home: dict[str, str],
    endpoint: ScriptedEndpoint,
    *flags: str,
    ready: str = READY,
    **options: int,
) -> Iterator[Screen]:
    argv = [sys.executable, "-m", "agent", "--base-url", endpoint.base_url, "-m", MODEL, *flags]
    with Screen(argv, codebase, home, **options) as screen:
        screen.wait_for(ready)
        yield screen


@pytest.fixture
def talk(codebase: Path, home: dict[str, str]) -> Iterator[Callable[..., Screen]]:
    """Begin a conversation with a scripted model."""
    from contextlib import ExitStack

    with ExitStack() as stack:

        def begin(script: Sequence[Behaviour], *flags: str, **options: int) -> Screen:
            endpoint = stack.enter_context(ScriptedEndpoint(script))
            screen = stack.enter_context(conversation(codebase, home, endpoint, *flags, **options))
            screen.endpoint = endpoint  # type: ignore[attr-defined]
            return screen

        yield begin


def test_a_question_shows_its_calls_and_its_answer_as_markdown(
    talk: Callable[..., Screen],
) -> None:
    screen = talk(
        [
            call("grep", pattern="class Basket", prompt_tokens=40),
            text("It is in **src/basket.py**.\n\n- line 1\n", prompt_tokens=60),
        ]
    )
    screen.type("Where is Basket?", "enter")
    shown = screen.wait_for(r"• line 1")
    assert re.search(r'● grep "class Basket" → 1 match in 1 file · \d+ B · \d\.\d\d s', shown)
    assert "It is in src/basket.py." in shown
    screen.wait_for(r"scripted · ask · \d+ tokens · \d+ tokens/s")


def test_a_write_is_shown_as_a_diff_and_asked_for(
    talk: Callable[..., Screen], codebase: Path
) -> None:
    script = [call("write_file", path="a.txt", content="new\n"), text("Done.")]
    screen = talk([*script, *script])
    screen.type("write it", "enter")
    screen.wait_for(r"\+new(.|\n)*Allow write_file\(a\.txt\)\?")
    screen.type("n", "enter")
    screen.wait_for("Not permitted")
    assert not (codebase / "a.txt").exists()
    screen.type("again", "enter")
    screen.wait_for(r"> again(.|\n)*Allow write_file\(a\.txt\)\?")
    screen.type("y", "enter")
    screen.wait_for(r"Created a\.txt(.|\n)*Done\.")
    screen.wait_for("· Esc interrupts", absent=True)
    assert (codebase / "a.txt").read_text() == "new\n"
    screen.type("/diff", "enter")
    screen.wait_for(r"\+\+\+ b/a\.txt")
    screen.type("/undo", "enter")
    screen.wait_for(r"removed a\.txt")
    assert not (codebase / "a.txt").exists()


def test_escape_interrupts_and_the_conversation_goes_on(talk: Callable[..., Screen]) -> None:
    screen = talk([stall("I will now"), text("Second answer.")])
    screen.type("one", "enter")
    screen.wait_for("I will now")
    screen.type("escape")
    screen.wait_for("Interrupted")
    screen.type("two", "enter")
    screen.wait_for(r"Second answer\.")


def test_one_can_type_ahead_while_an_answer_is_written(talk: Callable[..., Screen]) -> None:
    screen = talk([stall("Thinking"), text("Never asked.")])
    screen.type("one", "enter")
    screen.wait_for("Thinking")
    screen.type("two", "enter")
    screen.wait_for("Asked next: two")
    screen.type("half a line")
    screen.wait_for("> half a line")


def test_ctrl_c_clears_then_warns_then_quits(talk: Callable[..., Screen]) -> None:
    screen = talk([text("hi")])
    screen.type("some text")
    screen.wait_for("> some text")
    screen.type("ctrl-c")
    screen.wait_for("> some text", absent=True)
    screen.type("ctrl-c")
    screen.wait_for("Press Ctrl-C again to quit")
    screen.type("ctrl-c")
    assert screen.exit_code() == Exit.OK


def test_ctrl_d_and_quit_leave(talk: Callable[..., Screen]) -> None:
    screen = talk([text("hi")])
    screen.type("ctrl-d")
    assert screen.exit_code() == Exit.OK
    screen = talk([text("hi")])
    screen.type("/quit", "enter")
    assert screen.exit_code() == Exit.OK


def test_shift_tab_goes_through_the_permission_modes(talk: Callable[..., Screen]) -> None:
    screen = talk([call("write_file", path="b.txt", content="x"), text("No.")])
    for mode in ("accept-edits", "yolo", "read-only"):
        screen.type("shift-tab")
        screen.wait_for(f"scripted · {mode}")
    screen.type("write b.txt", "enter")
    screen.wait_for("Not permitted")
    screen.type("/permissions ask", "enter")
    screen.wait_for("mode ask")


def test_what_the_model_is_not_shown_is_said(
    talk: Callable[..., Screen], codebase: Path, home: dict[str, str]
) -> None:
    home["AGENT_CONTEXT_WINDOW"] = "4000"
    (codebase / "AGENTS.md").write_text("Be brief.\n" * 400)
    long = " ".join(f"file{n}.py" for n in range(900))
    screen = talk([text(long), text("Second."), text("Third.")])
    screen.type("one", "enter")
    screen.wait_for(r"AGENTS\.md is long(.|\n)*file899\.py")
    screen.type("two", "enter")
    screen.wait_for(r"Second\.")
    screen.type("three", "enter")
    screen.wait_for(r"Made room in the conversation(.|\n)*Third\.")


def test_files_and_commands_are_completed(talk: Callable[..., Screen]) -> None:
    screen = talk([text("Seen.")])
    screen.type("explain @bas")
    screen.wait_for(r"@src/basket\.py")
    screen.type("tab")
    screen.wait_for(r"> explain @src/basket\.py")
    screen.type("enter")
    screen.wait_for(r"Seen\.")
    (request,) = screen.endpoint.requests  # type: ignore[attr-defined]
    assert request["messages"][-1]["content"] == "explain src/basket.py"
    screen.type("/perm")
    screen.wait_for("Show what the model may do")


def test_an_enter_is_an_enter_while_an_answer_is_printed(talk: Callable[..., Screen]) -> None:
    screen = talk([text("\n\n".join(f"line {n}" for n in range(300)))])
    screen.enter_was_safe = True
    for _ in range(3):
        screen.type("go", "enter")
        screen.wait_for(r"line 299\n(.*\n)*>")
        screen.settle()
    assert screen.enter_was_safe


def test_a_program_of_the_users_has_the_terminal(
    talk: Callable[..., Screen], home: dict[str, str], tmp_path: Path
) -> None:
    editor = tmp_path / "editor"
    editor.write_text('#!/bin/sh\nread line </dev/tty\necho "$line" >"$1"\n')
    editor.chmod(0o700)
    home["EDITOR"] = home["VISUAL"] = str(editor)
    screen = talk([text("hi")])
    screen.type('!echo ready; read line; echo "read $line"', "enter")
    screen.wait_for(r"\nready")
    screen.type("one", "enter")
    screen.wait_for(r"\nread one\n(.*\n)*>")
    screen.type("ctrl-g")
    screen.wait_for("scripted", absent=True)
    screen.type("two words", "enter")
    screen.wait_for("> two words")


def test_a_command_of_the_users_runs_in_the_codebase(talk: Callable[..., Screen]) -> None:
    screen = talk([text("hi")])
    screen.type("!cat README.md; exit 3", "enter")
    screen.wait_for("# Shop")
    screen.wait_for("exit code 3")
    assert not screen.endpoint.requests  # type: ignore[attr-defined]


def test_an_unknown_command_is_answered_with_the_nearest(talk: Callable[..., Screen]) -> None:
    screen = talk([text("hi")])
    screen.type("/tolls", "enter")
    screen.wait_for(r"There is no command /tolls; did you mean /tools\?")
    screen.type("/help", "enter")
    screen.wait_for("Ctrl-J, Alt-Enter")
    screen.type("/tools", "enter")
    screen.wait_for("php_lint")
    screen.type("/undo", "enter")
    screen.wait_for("There is nothing to undo in this conversation")
    screen.type("/good", "enter")
    screen.wait_for("There is no answer yet to rate")


def test_a_line_can_have_several_lines(talk: Callable[..., Screen]) -> None:
    screen = talk([text("Both seen.")])
    screen.type("first", "ctrl-j", "second", "enter")
    screen.wait_for(r"Both seen\.")
    (request,) = screen.endpoint.requests  # type: ignore[attr-defined]
    assert request["messages"][-1]["content"] == "first\nsecond"


def test_nothing_that_the_model_writes_reaches_the_terminal_as_a_command(
    talk: Callable[..., Screen], codebase: Path
) -> None:
    (codebase / "evil.txt").write_text("a\x1b]52;c;ZXZpbA==\x07b\x1b[2Jc")
    hostile = "one\x1b]0;owned\x07 two\x1b[31m \u202ethree\x9b2J four.\n\nfive"
    screen = talk([call("grep", pattern="a", path="evil.txt"), text(hostile, size=3)])
    screen.type("go", "enter")
    screen.wait_for("five")
    assert b"]52;" not in screen.raw and b"]0;owned" not in screen.raw
    assert "\u202e".encode() not in screen.raw


def test_an_answer_is_rated_and_the_session_goes_on_another_day(
    talk: Callable[..., Screen], home: dict[str, str]
) -> None:
    screen = talk([text("Forty-two.", prompt_tokens=9)])
    screen.type("What is it?", "enter")
    screen.wait_for(r"Forty-two\.(.|\n)*tokens/s")
    screen.type("/fix It is 43.", "enter")
    screen.wait_for("Noted")
    screen.type("ctrl-d")
    assert screen.exit_code() == Exit.OK
    (session,) = Path(home["XDG_STATE_HOME"]).rglob("sessions/*/*.jsonl")
    rows = [json.loads(line) for line in session.read_text().splitlines()]
    (rated,) = [row for row in rows if row["kind"] == "rated"]
    assert (rated["verdict"], rated["note"]) == ("fix", "It is 43.")
    again = talk([text("As I said.")], "-c")
    again.type("/resume ")
    again.wait_for(rf"{session.stem[:8]} +What is it\?")
    again.type("ctrl-c")
    again.type("And now?", "enter")
    again.wait_for(r"As I said\.")
    (request,) = again.endpoint.requests  # type: ignore[attr-defined]
    assert "Forty-two." in json.dumps(request["messages"])


def test_the_shape_of_a_narrow_screen_is_kept(talk: Callable[..., Screen]) -> None:
    screen = talk([call("grep", pattern="x" * 300), text("word " * 60)], columns=40, rows=12)
    screen.type("go", "enter")
    shown = screen.wait_for("word word(.|\n)*>")
    assert "● grep" in shown
    assert all(len(line) <= 40 for line in shown.splitlines())


def test_a_short_screen_has_room_for_the_answer(talk: Callable[..., Screen]) -> None:
    screen = talk([text("\n\n".join(f"line {n}" for n in range(1, 5)))], columns=40, rows=12)
    screen.type("go", "enter")
    screen.wait_for(r"line 4(.|\n)*scripted · ask · \d+ tokens")
    screen.settle()
    visible = ["".join(char.data for char in row).rstrip() for row in screen.cells]
    assert [line for line in visible if line][:-2][-4:] == [f"line {n}" for n in range(1, 5)]
    screen.type("/")
    screen.wait_for("/help(.|\n)*/compact")


def test_what_is_too_long_for_a_narrow_screen_is_asked_in_two_lines(
    talk: Callable[..., Screen],
) -> None:
    path = "src/a/folder/with/a/long/name.py"
    write = call("write_file", path=path, content="x")
    screen = talk([write, text("No.")], columns=40, rows=12)
    screen.type("go", "enter")
    screen.wait_for(r"\+x(.|\n)*\[y\]es / \[a\]lways here / \[N\]o")
    screen.settle()
    shown = screen.shown
    assert "Allow write_file(src/a/folder/with/a/…?\n[y]es" in shown
    assert f"write_file({path})" in shown.replace("\n", "")
    screen.wait_for("scripted · ask · Esc interrupts")


def test_without_colours(codebase: Path, home: dict[str, str]) -> None:
    with (
        ScriptedEndpoint([text("It is **bold**.")]) as endpoint,
        conversation(codebase, {**home, "NO_COLOR": "1"}, endpoint) as screen,
    ):
        screen.type("hi", "enter")
        screen.wait_for("It is bold")
        assert not re.search(rb"\x1b\[(3|4|9)[0-7]m", screen.raw)


def test_in_a_dumb_terminal_what_is_shown_only_grows_at_its_end(
    codebase: Path, home: dict[str, str]
) -> None:
    script = [call("write_file", path="a.txt", content="new\n"), text("It is **bold**.")]
    with (
        ScriptedEndpoint([*script, stall("I will now\n\n")]) as endpoint,
        conversation(codebase, {**home, "TERM": "dumb"}, endpoint, ready="> ?$") as screen,
    ):
        screen.type("hi", "enter")
        screen.wait_for(r"\+new\nAllow write_file\(a\.txt\)\? \[y\]es / \[a\]lways here / \[N\]o")
        screen.type("y", "enter")
        screen.wait_for(r"here / \[N\]o y\n● write_file .*\nIt is bold\.\n\n>$")
        screen.type("/undo", "enter")
        screen.wait_for(r"> /undo\n.*removed a\.txt.*\n>$")
        screen.type("again", "enter")
        screen.wait_for("I will now")
        screen.type("ctrl-c")
        screen.wait_for(r"Interrupted\.\n(.*\n)*>$")
        screen.type("ctrl-c")
        screen.wait_for(r"Press Ctrl-C again to quit\.\n>$")
        screen.type("ctrl-c")
        assert screen.exit_code() == Exit.OK
        assert b"\x1b" not in screen.raw


def test_what_has_no_room_is_left_out_of_the_status_line() -> None:
    parts = ["model", "ask", "Esc interrupts", "9 tokens"]
    assert fitting(parts, 40) == "model · ask · Esc interrupts · 9 tokens"
    assert fitting(parts, 24) == "model · ask · 9 tokens"
    assert fitting(parts, 2) == ""


def test_text_being_written_is_broken_between_words() -> None:
    assert wrapped("one two three\nfour", 11, 2) == ["three", "four"]


@pytest.mark.parametrize(
    ("flags", "said", "code"),
    [
        (("-r", "nosuch"), "There is no session", Exit.USAGE),
        (("-m", "/no/such/model"), "no model at /no/such/model", Exit.UNAVAILABLE),
    ],
)
def test_what_cannot_begin_ends_with_the_code_of_its_reason(
    codebase: Path, home: dict[str, str], flags: tuple[str, str], said: str, code: Exit
) -> None:
    with Screen([sys.executable, "-m", "agent", *flags], codebase, home) as screen:
        screen.wait_for(said)
        assert screen.exit_code() == code


def test_an_endpoint_that_is_down_ends_no_conversation(
    codebase: Path, home: dict[str, str]
) -> None:
    home["AGENT_RETRIES"] = "0"
    flags = ["--base-url", "http://127.0.0.1:9/v1", "-m", "x"]
    with Screen([sys.executable, "-m", "agent", *flags], codebase, home) as screen:
        screen.wait_for(r"x · ask")
        screen.type("hello", "enter")
        screen.wait_for(r"No endpoint answers at http://127\.0\.0\.1:9/v1")
        screen.type("/tools", "enter")
        screen.wait_for("php_lint")


def test_without_a_terminal_it_says_what_to_do(codebase: Path) -> None:
    import subprocess

    done = subprocess.run(
        [sys.executable, "-m", "agent"],
        cwd=codebase, capture_output=True, text=True, stdin=subprocess.DEVNULL, check=False,
    )  # fmt: skip
    assert done.returncode == Exit.USAGE
    assert "needs a terminal" in done.stderr and "Traceback" not in done.stderr


def test_only_whole_blocks_are_printed() -> None:
    assert split_blocks("one\n\ntwo") == ("one\n\n", "two")
    assert split_blocks("```py\na\n\nb") == ("", "```py\na\n\nb")
    assert split_blocks("```py\na\n\nb\n```\nnext") == ("```py\na\n\nb\n```\n", "next")


def test_paths_are_offered_by_beginning_then_name_then_anywhere() -> None:
    paths = ["docs/src.md", "src/a.py", "lib/src_map.js", "README.md"]
    assert matching("src", paths) == ["src/a.py", "docs/src.md", "lib/src_map.js"]
    assert without_mentions("see @src/a.py and @someone") == "see src/a.py and @someone"
