"""`agent sessions`, and `agent ask` that keeps them and goes on with them: the real command."""

import json
from html.parser import HTMLParser
from pathlib import Path

import pytest

from agent import records, transcript
from agent.events import Result, ToolResult, ToolUse
from agent.exits import Exit
from agent.journal import Journal
from tests.agent.conftest import Command
from tests.scripted_endpoint import ScriptedEndpoint, call, text

HOSTILE = (
    '</pre></details><script>alert(1)</script><img src="http://evil/?x" onerror=x> &lt; " \' '
    "\x1b]52;c;ZXZpbA==\x07\x1b[2J\u202e ```` \n# heading\n```\nfence"
)


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """Where the command of the `command` fixture keeps its sessions."""
    return tmp_path / "state" / "agent"


@pytest.fixture(autouse=True)
def state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Here too, so that the tests write where the command reads."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))


@pytest.fixture
def agent(command: Command, tmp_path: Path) -> Command:
    def go(*arguments: str, **options: object) -> object:
        from tests.agent.conftest import environment

        env = environment(tmp_path, XDG_STATE_HOME=str(tmp_path / "state"))
        return command(*arguments, env=env, **options)

    return go


def keep(codebase: Path, home: Path, question: str, answer: str = "An answer.") -> str:
    """A session with one turn and one call; its id."""
    with Journal.create(codebase, home) as journal:
        journal.asked(question)
        journal.subscriber(ToolUse("1", "grep", {"pattern": "Basket"}))
        journal.subscriber(ToolResult("1", "grep", "ok", f"src/basket.py: {answer}", 3))
        journal.turn(question, Result("success", answer, journal.session_id))
        return journal.session_id


def test_ask_is_kept_and_gone_on_with(agent: Command) -> None:
    script = [
        call("grep", pattern="class Basket"),
        text("In src/basket.py."),
        text("Yes."),
        text("No."),
    ]
    with ScriptedEndpoint(script) as endpoint:
        to = ("--base-url", endpoint.base_url, "--output-format", "json")
        first = json.loads(agent("ask", "Where is Basket?", *to).stdout)
        second = json.loads(agent("ask", "-c", "Sure?", *to).stdout)
        third = json.loads(agent("ask", "Really?", "-r", first["session_id"][:7], *to).stdout)
        asked = [m["content"] for m in endpoint.requests[-1]["messages"] if m["role"] == "user"]
    assert first["session_id"] == second["session_id"] == third["session_id"]
    assert asked == ["Where is Basket?", "Sure?", "Really?"]
    (row,) = json.loads(agent("sessions", "--json").stdout)
    assert (row["id"], row["turns"], row["title"]) == (
        first["session_id"], 3, "Where is Basket?",
    )  # fmt: skip
    shown = agent("sessions", "show", first["session_id"][:5]).stdout
    assert "> Where is Basket?" in shown and "In src/basket.py." in shown
    assert 'grep {"pattern": "class Basket"} (ok)' in shown


def test_no_session(agent: Command) -> None:
    with ScriptedEndpoint([text("Yes.")]) as endpoint:
        done = agent("ask", "--no-session", "x", "--base-url", endpoint.base_url)
        both = agent("ask", "--no-session", "-c", "x", "--base-url", endpoint.base_url)
    assert done.stdout == "Yes.\n"
    assert agent("sessions", "--json").stdout == "[]\n"
    assert both.returncode == Exit.USAGE and "--no-session keeps nothing" in both.stderr


def test_a_batch_keeps_none(agent: Command) -> None:
    with ScriptedEndpoint([text("Yes.")]) as endpoint:
        to = ("--base-url", endpoint.base_url)
        done = agent("ask", "--batch", "-", *to, input='{"question": "x"}')
        wrong = agent("ask", "-c", "--batch", "-", *to, input='{"question": "x"}')
    assert json.loads(done.stdout)["subtype"] == "success"
    assert agent("sessions", "--json").stdout == "[]\n"
    assert wrong.returncode == Exit.USAGE and "--batch keeps no sessions" in wrong.stderr


def test_which_session_is_meant(agent: Command, codebase: Path, home: Path) -> None:
    nothing = agent("ask", "x", "-c")
    assert nothing.returncode == Exit.USAGE and "no session of" in nothing.stderr
    session = keep(codebase, home, "Where is Basket?")
    folder = next((home / "sessions").iterdir())
    for twin in ("abcd1", "abcd2"):
        (folder / f"{twin}.jsonl").write_bytes((folder / f"{session}.jsonl").read_bytes())
    for command in (["ask", "x", "-r"], ["sessions", "show"], ["sessions", "delete"]):
        unknown = agent(*command, "nope")
        assert unknown.returncode == Exit.USAGE
        assert "There is no session 'nope'" in unknown.stderr
        assert f"{session[:8]} (Where is Basket?)" in unknown.stderr
        several = agent(*command, "ABCD")
        assert several.returncode == Exit.USAGE
        assert "Several sessions begin with 'ABCD'" in several.stderr and "abcd1" in several.stderr
    empty = agent("ask", "x", "-r", "")
    assert empty.returncode == Exit.USAGE and "There is no session ''" in empty.stderr


def test_sessions_belong_to_their_codebase(agent: Command, tmp_path: Path, home: Path) -> None:
    other = tmp_path / "other" / "shop"
    other.mkdir(parents=True)
    keep(other, home, "Elsewhere?")
    assert agent("sessions", "--json").stdout == "[]\n"
    assert "Elsewhere?" in agent("sessions", "-C", str(other)).stdout
    assert "Elsewhere?" in agent("sessions", "list", "-C", str(other)).stdout


def test_search(agent: Command, codebase: Path, home: Path) -> None:
    one = keep(codebase, home, "Where is the Übergang?", "In übergang.php.")
    keep(codebase, home, "Something else?")
    found = json.loads(agent("sessions", "search", "--json", "ÜBERGANG").stdout)
    assert {row["id"] for row in found} == {one}
    assert [row["kind"] for row in found] == ["asked", "called", "answered"]
    assert "asked: Where is the Übergang?" in agent("sessions", "search", "übergang").stdout
    nothing = agent("sessions", "search", "kein")
    assert (nothing.returncode, nothing.stdout) == (0, "") and "contains 'kein'" in nothing.stderr
    assert agent("sessions", "search", " ").returncode == Exit.USAGE


def test_delete(agent: Command, codebase: Path, home: Path) -> None:
    one, two, _ = (keep(codebase, home, question) for question in "abc")
    assert agent("sessions", "delete").returncode == Exit.USAGE
    assert agent("sessions", "delete", one, "nope").returncode == Exit.USAGE
    assert len(json.loads(agent("sessions", "--json").stdout)) == 3
    assert agent("sessions", "delete", one, one, two).stderr == "Deleted 2 sessions.\n"
    with Journal.resume(codebase, None, home):
        busy = agent("sessions", "delete", "--all")
    assert busy.returncode == Exit.USAGE and "open in another process" in busy.stderr
    assert len(json.loads(agent("sessions", "delete", "--all", "--json").stdout)["deleted"]) == 1
    assert agent("sessions", "--json").stdout == "[]\n"


def test_undo_is_recorded_and_its_copies_go_with_the_session(
    agent: Command, codebase: Path, home: Path
) -> None:
    write = call("write_file", path="new.txt", content="by the model")
    with ScriptedEndpoint([write, text("Done.")]) as endpoint:
        to = ("--base-url", endpoint.base_url, "--permission-mode", "accept-edits")
        assert agent("ask", "Write it", *to).returncode == 0
    (session,) = json.loads(agent("sessions", "--json").stdout)
    assert agent("undo").returncode == 0
    told = json.loads(agent("sessions", "show", session["id"][:4], "--json").stdout)["records"]
    assert (told[-1]["kind"], told[-1]["path"], told[-1]["outcome"]) == (
        "undone", "new.txt", "removed",
    )  # fmt: skip
    assert list((home / "checkpoints").rglob(session["id"]))
    agent("sessions", "delete", session["id"])
    assert not list(home.rglob(f"{session['id']}*"))


def test_the_latest_comes_first(agent: Command, codebase: Path, home: Path) -> None:
    keep(codebase, home, "first")
    keep(codebase, home, "second")
    lines = agent("sessions").stdout.splitlines()
    assert [line.split()[-1] for line in lines] == ["second", "first"]


class Page(HTMLParser):
    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.tags: set[str] = set()
        self.attributes: set[str] = set()
        self.said = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.attributes.update(name for name, _ in attrs)

    def handle_data(self, data: str) -> None:
        self.said += data


def hostile(codebase: Path, home: Path) -> str:
    """A session with text that wants out in every place where text can be."""
    with Journal.create(codebase, home) as journal:
        journal.asked(HOSTILE)
        journal.subscriber(ToolUse("1", HOSTILE, {HOSTILE: HOSTILE}))
        journal.subscriber(ToolResult("1", HOSTILE, "failed", HOSTILE, 3))
        journal.turn(HOSTILE, Result("looped", HOSTILE, "s", message=HOSTILE))
        journal.rated("bad", HOSTILE)
        journal.record(HOSTILE, path=HOSTILE)
        return journal.session_id


def test_html_of_hostile_text(agent: Command, codebase: Path, home: Path, tmp_path: Path) -> None:
    session = hostile(codebase, home)
    page = tmp_path / "page.html"
    done = agent("sessions", "export", session, "--format", "html", "-o", str(page))
    assert (done.returncode, done.stdout, done.stderr) == (0, "", f"Wrote {page}.\n")
    source = page.read_text(encoding="utf-8")
    assert not set(source) & {"\x1b", "\x07", "\u202e"}
    read = Page()
    read.feed(source)
    assert read.tags <= {
        "html", "head", "meta", "title", "style", "body", "h1", "h2", "section", "details",
        "summary", "pre", "p",
    }  # fmt: skip
    assert read.attributes <= {"lang", "charset", "http-equiv", "content", "name", "class"}
    assert "default-src 'none'" in source
    assert read.said.count("<script>alert(1)</script>") >= 5


def test_markdown_of_hostile_text(agent: Command, codebase: Path, home: Path) -> None:
    """What the model did not write cannot leave its quotation or fence."""
    shown = agent("sessions", "export", hostile(codebase, home)).stdout
    assert not set(shown) & {"\x1b", "\x07", "\u202e"}
    question = shown.split("## Question\n\n")[1].split("\n\nTool call")[0]
    assert all(line.startswith(">") for line in question.split("\n"))
    fence = shown.split("Tool call: ")[1].split("\n")[2]
    assert set(fence) == {"`"} and len(fence) == 5
    assert shown.split(f"\n{fence}\n")[1].endswith("fence")


def test_export_into_nowhere(agent: Command, codebase: Path, home: Path) -> None:
    session = keep(codebase, home, "x")
    done = agent("sessions", "export", session, "-o", "no/such/folder.md")
    assert done.returncode == Exit.USAGE
    assert done.stderr == "agent: no/such/folder.md cannot be written: No such file or directory.\n"


def test_a_run_without_an_answer_is_shown_as_such(codebase: Path, home: Path) -> None:
    with Journal.create(codebase, home) as journal:
        journal.asked("one")
        journal.asked("two")
        notes = [e.heading for e in transcript.entries(records.read(journal.path))]
    assert notes.count("The run ended without an answer.") == 2


def test_answers_do_not_depend_on_a_place_for_sessions(agent: Command, tmp_path: Path) -> None:
    (tmp_path / "state").write_text("in the way")
    with ScriptedEndpoint([text("Yes.")]) as endpoint:
        done = agent("ask", "x", "--base-url", endpoint.base_url)
    assert (done.returncode, done.stdout) == (0, "Yes.\n")
    assert "This session is not recorded any more" in done.stderr
