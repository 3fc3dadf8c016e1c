"""Sessions survive a killed process at any byte, and belong to one process at a time."""

import asyncio
import json
import os
import signal
import stat
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic_ai.messages import (
    ModelMessage,
    ModelMessagesTypeAdapter,
    ModelRequest,
    ModelResponse,
    TextPart,
    ToolCallPart,
    ToolReturnPart,
    UserPromptPart,
)

from agent import records, sessions
from agent.assistant import Assistant
from agent.connect import Endpoint
from agent.events import Init, Result, ToolResult, ToolUse
from agent.exits import AgentError, UsageError
from agent.journal import Journal, reopened
from agent.settings import Settings
from tests.agent.conftest import environment
from tests.scripted_endpoint import MODEL, Behaviour, ScriptedEndpoint, call, hang, text

TEXTS = st.text(min_size=1, max_size=200)


def conversation(question: str, answer: str, found: str = "a.py:1: x") -> list[ModelMessage]:
    return [
        ModelRequest(parts=[UserPromptPart(question)], instructions="the prompt of that day"),
        ModelResponse(
            parts=[ToolCallPart("grep", {"pattern": "x"}, "c1")],
            provider_url="http://user:secret@127.0.0.1:1/v1",
        ),
        ModelRequest(parts=[ToolReturnPart("grep", found, "c1")]),
        ModelResponse(parts=[TextPart(answer)]),
    ]


def add_turn(journal: Journal, question: str, answer: str) -> list[ModelMessage]:
    messages = conversation(question, answer)
    result = Result("success", answer, journal.session_id, model={"name": "m", "hash": "h1"})
    journal.turn(question, result, messages)
    return messages


def said(messages: list[ModelMessage]) -> list[str]:
    return [
        str(part.content)
        for message in messages
        for part in message.parts
        if isinstance(part, UserPromptPart | TextPart)
    ]


def kinds(journal: Journal) -> list[str]:
    return [record["kind"] for record in records.read(journal.path)]


@pytest.fixture
def root(tmp_path: Path) -> Path:
    (tmp_path / "shop").mkdir()
    return tmp_path / "shop"


def test_the_conversation_comes_back(root: Path, tmp_path: Path) -> None:
    with Journal.create(root, tmp_path) as journal:
        written = add_turn(journal, "Where?", "There.") + add_turn(journal, "Why?", "Because.")
        assert kinds(journal) == ["began", "asked", "answered", "asked", "answered"]
    with Journal.resume(root, journal.session_id[:6], tmp_path) as again:
        history = again.history()
        assert said(history) == said(written)
        assert again.left_out == 0
        add_turn(again, "And now?", "Now too.")
        last = list(records.read(again.path))[-1]
    assert (last["kind"], last["turn"], last["model"]) == (
        "answered", 3, {"name": "m", "hash": "h1"},
    )  # fmt: skip


def test_an_empty_session_leaves_no_file(root: Path, tmp_path: Path) -> None:
    with Journal.create(root, tmp_path) as journal:
        assert journal.history() == []
    assert not journal.path.exists()
    with pytest.raises(UsageError, match=r"There is no session of .*shop yet to continue"):
        Journal.resume(root, None, tmp_path)


def test_only_the_owner_can_read_it(root: Path, tmp_path: Path) -> None:
    with Journal.create(root, tmp_path) as journal:
        add_turn(journal, "a", "b")
    assert stat.S_IMODE(journal.path.stat().st_mode) == 0o600
    assert stat.S_IMODE(journal.path.parent.stat().st_mode) == 0o700


def test_what_happens_in_a_run_is_recorded(root: Path, tmp_path: Path) -> None:
    with Journal.create(root, tmp_path) as journal:
        journal.asked("Change it")
        journal.subscriber(Init("s", "m", "/x", (), "ask"))
        journal.subscriber(ToolUse("1", "grep", {"pattern": "x"}))
        journal.subscriber(ToolResult("1", "grep", "ok", "long" * 5000, 3))
        journal.subscriber(ToolUse("2", "write_file", {"path": "a"}))
        journal.subscriber(ToolResult("2", "write_file", "denied", "Error: Denied", 0))
        journal.subscriber(Init("s", "m", "/x", (), "ask"))
        journal.turn("Change it", Result("denied", "", "s", interventions=("loop_repeat",)))
        journal.rated("bad", "It should have asked")
        journal.undone("a", "restored")
        rows = {record["kind"]: record for record in records.read(journal.path)}
        assert kinds(journal) == (
            ["began", "asked", "mode", "called", "denied", "answered", "rated", "undone"]
        )
    assert rows["began"]["directory"] == str(root) and rows["mode"]["mode"] == "ask"
    assert rows["called"]["arguments"] == {"pattern": "x"}
    assert rows["called"]["result"].endswith("\n[18000 more characters]")
    assert rows["answered"]["interventions"] == ["loop_repeat"]
    assert (rows["rated"]["verdict"], rows["rated"]["turn"]) == ("bad", 1)
    assert all(record["time"].endswith("+00:00") for record in rows.values())


def test_nothing_is_kept_that_the_model_was_not_shown(root: Path, tmp_path: Path) -> None:
    with Journal.create(root, tmp_path) as journal:
        add_turn(journal, "a", "b")
        lost = Result("unavailable", "", "s", message="No endpoint answers at http://u:pw@h/v1")
        journal.turn("again", lost)
    kept = journal.path.read_text()
    assert "secret" not in kept and "u:pw@" not in kept and "prompt of that day" not in kept
    assert "http://h/v1" in kept


def test_compaction_replaces_what_came_before(root: Path, tmp_path: Path) -> None:
    with Journal.create(root, tmp_path) as journal:
        add_turn(journal, "old", "old answer")
        journal.compacted(conversation("summary", "of it"))
        add_turn(journal, "new", "new answer")
    with Journal.resume(root, None, tmp_path) as again:
        assert said(again.history()) == ["summary", "of it", "new", "new answer"]


def test_a_conversation_compacted_to_nothing_is_empty(root: Path, tmp_path: Path) -> None:
    with Journal.create(root, tmp_path) as journal:
        add_turn(journal, "old", "old answer")
        journal.compacted([])
        journal.rated("good")
        assert journal.history() == []
        add_turn(journal, "new", "new answer")
        assert said(journal.history()) == ["new", "new answer"]


def test_what_is_noted_later(root: Path, tmp_path: Path) -> None:
    with Journal.create(root, tmp_path) as journal:
        add_turn(journal, "a", "b")
        with reopened(root, journal.session_id, tmp_path) as busy:
            assert busy is None
    with reopened(root, journal.session_id, tmp_path) as again:
        assert again is not None
        again.undone("a.py", "refused", "it changed")
    assert kinds(journal)[-1] == "undone"
    with reopened(root, "nope", tmp_path) as unknown:
        assert unknown is None


def test_a_new_conversation_is_a_new_session(root: Path, tmp_path: Path) -> None:
    with Journal.create(root, tmp_path) as journal:
        add_turn(journal, "one", "1")
        first = journal.session_id
        journal.restart()
        assert journal.session_id != first and journal.history() == []
        add_turn(journal, "two", "2")
    assert {summary.title for summary in sessions.summaries(root, tmp_path)} == {"one", "two"}


@settings(max_examples=60, deadline=None)
@given(turns=st.lists(st.tuples(TEXTS, TEXTS), min_size=1, max_size=4), data=st.data())
def test_killed_at_any_byte(turns: list[tuple[str, str]], data: st.DataObject) -> None:
    """Whatever is left of the file: whole turns come back, and the session goes on."""
    with tempfile.TemporaryDirectory() as name:
        home = Path(name)
        with Journal.create(home, home) as journal:
            ends = []
            for question, answer in turns:
                add_turn(journal, question, answer)
                ends.append(journal.path.stat().st_size)
        whole = journal.path.read_bytes()
        cut = data.draw(st.integers(0, len(whole)))
        journal.path.write_bytes(whole[:cut])
        survived = [turn for turn, end in zip(turns, ends, strict=True) if end <= cut]
        if not list(sessions.summaries(home, home)):
            assert not survived
            with pytest.raises(UsageError):
                Journal.resume(home, None, home)
            return
        with Journal.resume(home, None, home) as again:
            assert said(again.history()) == [text for turn in survived for text in turn]
            assert whole.startswith(again.path.read_bytes())
            add_turn(again, "next", "answer")
        with Journal.resume(home, None, home) as third:
            assert said(third.history())[-2:] == ["next", "answer"]
        assert all(json.loads(line) for line in journal.path.read_bytes().splitlines())


@settings(max_examples=60, deadline=None)
@given(
    question=st.text(alphabet=st.characters(), min_size=1),
    junk=st.binary(max_size=200),
)
def test_any_text_and_any_junk_in_the_file(question: str, junk: bytes) -> None:
    with tempfile.TemporaryDirectory() as name:
        home = Path(name)
        with Journal.create(home, home) as journal:
            add_turn(journal, question, "first")
        with journal.path.open("ab") as file:
            file.write(junk + b"\n")
        with Journal.resume(home, None, home) as again:
            expected = question.encode("utf-8", "replace").decode()
            assert said(again.history()) == [expected, "first"]


@settings(max_examples=60, deadline=None)
@given(lengths=st.lists(st.integers(0, 200_000), max_size=4), torn=st.booleans())
def test_reading_backwards_is_reading_forwards_reversed(lengths: list[int], torn: bool) -> None:
    with tempfile.NamedTemporaryFile() as file:
        for number, length in enumerate(lengths):
            file.write(records.line({"kind": "asked", "n": number, "text": "é" * length}))
        file.write(b'{"kind": "asked", "te' if torn else b"")
        file.flush()
        forwards = list(records.read(Path(file.name)))
        assert [r["n"] for r, _ in records.backwards(file.fileno())] == [
            r["n"] for r in reversed(forwards)
        ]
        assert [r["n"] for r in forwards] == list(range(len(lengths)))
        records.cut_torn_line(file.fileno())
        assert Path(file.name).read_bytes() == b"".join(map(records.line, forwards))


def test_of_an_endless_session_the_latest_turns_are_read(root: Path, tmp_path: Path) -> None:
    big = "x" * 100_000
    with Journal.create(root, tmp_path) as journal:
        for number in range(6):
            add_turn(journal, f"{number} {big}", str(number))
    with Journal.resume(root, None, tmp_path) as again:
        history = said(again.history())
        assert history[-1] == "5" and 0 < again.left_out < 6
        assert len(history) == 2 * (6 - again.left_out)
        assert history[0].startswith(f"{again.left_out} ")
        assert len(said(again.history(window=1))) == 2
    with Journal.resume(root, None, tmp_path) as again:
        assert len(said(again.history(window=200_000))) == 12 and again.left_out == 0


def test_messages_of_another_version(root: Path, tmp_path: Path) -> None:
    with Journal.create(root, tmp_path) as journal:
        journal.record("answered", turn=1, messages=[{"kind": "telegram"}])
        journal.asked("x")
        with pytest.raises(AgentError, match="recorded by another version"):
            journal.history()


def test_a_full_disk_is_told_and_does_not_stop_the_run(root: Path, tmp_path: Path) -> None:
    (tmp_path / "sessions").write_text("in the way")
    with Journal.create(root, tmp_path) as journal:
        add_turn(journal, "a", "b")
        add_turn(journal, "c", "d")
        assert journal.problem is not None
        assert journal.problem.startswith("This session is not recorded any more")


def test_a_write_that_does_not_fit_takes_nothing_else_along(root: Path, tmp_path: Path) -> None:
    """A limit on the size of files stands in for a full disk."""
    script = """
import resource, signal, sys
from pathlib import Path
from agent.journal import Journal
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
root = Path(sys.argv[1])
journal = Journal.create(root, root)
journal.asked("kept")
limit = journal.path.stat().st_size + 100
resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
journal.asked("lost " * 1000)
journal.asked("never tried")
print(journal.problem)
"""
    done = subprocess.run(
        [sys.executable, "-c", script, str(root)], capture_output=True, text=True, check=True
    )
    assert "No space left" in done.stdout or "too large" in done.stdout
    with Journal.resume(root, None, root) as journal:
        assert kinds(journal) == ["began", "asked"]


HOLDER = """
import sys
from pathlib import Path
from agent.journal import Journal
root = Path(sys.argv[1])
journal = Journal.create(root, root) if len(sys.argv) < 3 else Journal.resume(root, None, root)
journal.asked("mine")
print(journal.session_id, flush=True)
sys.stdin.read()
"""


@pytest.fixture
def holder(root: Path) -> Iterator["subprocess.Popen[str]"]:
    """Another process with a session open; it is killed in the end."""
    process = subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(root)],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    yield process
    process.kill()
    process.communicate()


def test_a_session_open_elsewhere(root: Path, holder: "subprocess.Popen[str]") -> None:
    assert holder.stdout is not None
    session = holder.stdout.readline().strip()
    with pytest.raises(UsageError, match=f"Session {session} is open in another process"):
        Journal.resume(root, None, root)
    with pytest.raises(UsageError, match="open in another process"):
        sessions.delete(sessions.paths(root, root))
    with Journal.create(root, root) as other:
        add_turn(other, "theirs", "yes")
    assert len(sessions.paths(root, root)) == 2
    holder.send_signal(signal.SIGKILL)
    holder.wait()
    with Journal.resume(root, session, root) as journal:
        assert kinds(journal) == ["began", "asked"]


WRITER = """
import sys
from pathlib import Path
from agent.events import Result
from agent.journal import Journal
root, name = Path(sys.argv[1]), sys.argv[2]
sys.stdin.readline()
with Journal.create(root, root) as journal:
    for number in range(40):
        journal.turn(f"{name} {number}", Result("success", name * 3000, "s"))
"""


def test_two_processes_at_once_do_not_mix(root: Path) -> None:
    writers = [
        subprocess.Popen(
            [sys.executable, "-c", WRITER, str(root), name], stdin=subprocess.PIPE, text=True
        )
        for name in ("a", "b")
    ]
    for writer in writers:
        assert writer.stdin is not None
        writer.stdin.write("go\n")
        writer.stdin.flush()
    assert [writer.wait() for writer in writers] == [0, 0]
    found = sorted(
        [record["question"] for record in records.read(path) if record["kind"] == "asked"]
        for path in sessions.paths(root, root)
    )
    assert found == [[f"{name} {number}" for number in range(40)] for name in ("a", "b")]


def test_the_assistant_goes_on_with_a_session(codebase: Path, tmp_path: Path) -> None:
    """The second process asks with the first one's conversation, byte for byte."""

    def ask(journal: Journal, endpoint: ScriptedEndpoint, question: str) -> Assistant:
        async def go() -> Assistant:
            place = Endpoint(endpoint.base_url, MODEL, "the-api-key")
            assistant = Assistant(Settings(retries=0), place, codebase, journal=journal)
            await assistant.ask(question)
            await assistant.aclose()
            return assistant

        return asyncio.run(go())

    script = [call("grep", pattern="Basket"), text("In src."), text("A class."), text("Yes.")]
    with ScriptedEndpoint(script) as endpoint:
        with Journal.create(codebase, tmp_path) as journal:
            ask(journal, endpoint, "Where?")
        with Journal.resume(codebase, None, tmp_path) as journal:
            assistant = ask(journal, endpoint, "What?")
            ask(journal, endpoint, "Sure?")
        requests = endpoint.requests
    assert assistant.session_id == journal.session_id
    assert requests[2]["messages"][:-1] == [
        *requests[1]["messages"],
        {"role": "assistant", "content": "In src."},
    ]
    assert [m["content"] for m in requests[3]["messages"] if m["role"] == "user"] == (
        ["Where?", "What?", "Sure?"]
    )
    kept = journal.path.read_text()
    assert '"hash": "fp-scripted"' in kept and "the-api-key" not in kept
    ModelMessagesTypeAdapter.validate_python(
        [m for record in records.read(journal.path) for m in record.get("messages", [])]
    )


def test_killed_in_the_middle_of_a_run(codebase: Path, tmp_path: Path) -> None:
    """kill -9 of the real command; the next one goes on from the last whole turn."""
    home = environment(tmp_path)

    def start(question: str, endpoint: ScriptedEndpoint, *more: str) -> "subprocess.Popen[str]":
        return subprocess.Popen(
            [sys.executable, "-m", "agent", "ask", question, "--base-url", endpoint.base_url,
             "--model", "m", *more],
            cwd=codebase, env=home, stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        )  # fmt: skip

    script: list[Behaviour] = [
        text("It is called shop."), call("grep", pattern="Basket"), hang(), text("Yes.")
    ]  # fmt: skip
    with ScriptedEndpoint(script) as endpoint:
        assert start("What is it called?", endpoint).communicate()[0] == "It is called shop.\n"
        endpoint.server.asked.clear()
        process = start("Where is Basket?", endpoint, "-c")
        while len(endpoint.bodies) < 3:
            assert endpoint.server.asked.wait(120)
            endpoint.server.asked.clear()
        process.send_signal(signal.SIGKILL)
        process.communicate()
        out, err = start("Sure?", endpoint, "--continue").communicate()
        last = endpoint.requests[-1]["messages"]
    assert (out, "Traceback" in err) == ("Yes.\n", False)
    assert [m["content"] for m in last[1:]] == ["What is it called?", "It is called shop.", "Sure?"]
    (path,) = Path(home["HOME"]).rglob("sessions/*/*.jsonl")
    assert [record["kind"] for record in records.read(path)] == (
        ["began", "asked", "mode", "answered", "asked", "mode", "called", "asked", "mode",
         "answered"]
    )  # fmt: skip
    assert os.path.commonpath([path, codebase]) != str(codebase)
