"""Every scorer on runs that are known to be right and known to be wrong."""

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from agent_evals.judge import Verdict, changed_files, judge
from agent_evals.transcript import Call, Transcript, is_valid
from tests.evals import making
from tests.evals.making import ABSTAIN_ROW, DIRECT_ROW, EDIT_ROW, GAUGE, TOOL_ROW, case, grep, run

UNKNOWN = Call("search", {"q": "Gauge"}, "failed", "Error: There is no tool 'search'.", False)
MISFIT = Call("grep", {"q": "Gauge"}, "failed", "Error: grep needs 'pattern'.", False)


def verdict(row: dict[str, object], transcript: Transcript, root: Path = Path()) -> Verdict:
    return judge(case(row), transcript, root, root)


@pytest.mark.parametrize(
    ("transcript", "decision"),
    [
        (run(grep("class Gauge")), "called"),
        (run(grep("[", "Error: no valid regular expression", "failed")), "called"),
        (run(UNKNOWN, grep("class Gauge")), "called"),
        (run(grep("class Gauge"), answer="", ended="unavailable"), "called"),
        (run(), "answered"),
        (run(answer="I'll use the grep tool to find it."), "answered"),
        (run(UNKNOWN), "malformed"),
        (run(MISFIT, answer="Sorry."), "malformed"),
        (run(answer="<tool_call>{", ended="unparsed_tool_call"), "malformed"),
        (run(answer="", ended="empty"), "error"),
        (run(answer="half", ended="truncated"), "error"),
        (run(answer="", ended="unavailable"), "error"),
        (run(grep("x", "Error: Denied", "denied"), ended="denied"), "error"),
    ],
)
def test_the_decision(transcript: Transcript, decision: str) -> None:
    tool, direct = verdict(TOOL_ROW, transcript), verdict(DIRECT_ROW, transcript)
    assert (tool.decision, direct.decision) == (decision, decision)
    assert tool.decided is (decision == "called")
    assert direct.decided is (decision == "answered")


@pytest.mark.parametrize(
    ("transcript", "right"),
    [
        (run(grep("class Gauge")), True),
        (run(grep("gauge", "No matches."), grep("class Gauge")), True),
        (run(Call("read_file", {"path": "src/gauge.py"}, "ok", f"src/gauge.py\n{GAUGE}")), True),
        (run(grep("class Gauge", "1 match in 1 file\nother.py:1: class Gauge:")), False),
        (run(grep("class Gauge", "No matches."), grep("src", "src/gauge.py:1: x")), False),
        (run(Call("find_files", {"glob": "*"}, "ok", DEFINED := making.DEFINED)), False),
        (run(grep("class Gauge", f"Error: {DEFINED}", "failed")), False),
        (run(grep("class Gauge", DEFINED, "skipped")), False),
        (run(grep("class Gauges", f"No matches. Closest:\n{DEFINED}")), True),
        (run(answer="class Gauge is in src/gauge.py"), False),
        (run(Call("grep", {"q": "x"}, "ok", DEFINED, valid=False)), False),
    ],
)
def test_the_right_call_is_one_executed_call_with_all_the_evidence(
    transcript: Transcript, right: bool
) -> None:
    assert verdict(TOOL_ROW, transcript).right_call is right


def test_direct_cases_have_no_right_call() -> None:
    assert verdict(DIRECT_ROW, run(grep("gauge"))).right_call is None


@pytest.mark.parametrize(
    ("answer", "ended", "right"),
    [
        ("An INSTRUMENT that shows a pressure.", "success", True),
        ("It measures a level.", "success", True),
        ("It measures something.", "success", False),
        ("Pressure.", "success", False),
        ("", "success", False),
        ("It measures a level.", "truncated", False),
    ],
)
def test_an_answer_matches_every_group_once_the_run_ended_well(
    answer: str, ended: str, right: bool
) -> None:
    assert verdict(DIRECT_ROW, run(answer=answer, ended=ended)).right_answer is right


def test_without_a_check_no_answer_is_judged() -> None:
    assert verdict({**DIRECT_ROW, "answer": []}, run()).right_answer is None


WRITE = Call("write_file", {"path": "a.txt", "content": "1"}, "ok", "Created a.txt (1 line).")


@pytest.mark.parametrize(
    ("calls", "repeats"),
    [
        ((grep("a"), grep("b")), 0),
        ((grep("a"), grep("a")), 1),
        ((grep("a"), grep("a", path=".", glob="")), 1),
        ((grep("a", path="src"), grep("a", path="/code/src/")), 1),
        ((grep("a"), grep("b"), grep("a"), grep("b")), 2),
        ((grep("a"), WRITE, grep("a")), 0),
        ((grep("a"), grep("a"), grep("a", outcome="skipped")), 2),
    ],
)
def test_repeated_calls(calls: tuple[Call, ...], repeats: int) -> None:
    assert verdict(TOOL_ROW, run(*calls, root="/code")).repeated == repeats


@pytest.mark.parametrize(
    ("transcript", "malformed"),
    [
        (run(grep("a")), 0),
        (run(grep("[", "Error: no valid regular expression", "failed")), 0),
        (run(UNKNOWN, MISFIT, grep("a")), 2),
        (run(answer="<tool_call>{", ended="unparsed_tool_call"), 1),
    ],
)
def test_malformed_calls(transcript: Transcript, malformed: int) -> None:
    assert verdict(TOOL_ROW, transcript).malformed == malformed


@pytest.mark.parametrize(
    ("transcript", "looped"),
    [
        (run(grep("a")), False),
        (run(grep("a"), interventions=("rescued_tool_call",)), False),
        (run(grep("a"), interventions=("loop_identical",)), True),
        (run(grep("a"), ended="looped"), True),
        (run(grep("a"), ended="turn_limit"), True),
    ],
)
def test_loops_that_the_guard_ended_still_count(transcript: Transcript, looped: bool) -> None:
    assert verdict(TOOL_ROW, transcript).looped is looped


EDITED = Call("edit_file", {"path": "src/gauge.py"}, "ok", "Edited src/gauge.py at line 1.")


def edit_well(root: Path) -> None:
    (root / "src/gauge.py").write_text(GAUGE.replace("LIMIT = 5", "LIMIT = 9"))


def replace_the_file(root: Path) -> None:
    (root / "src/gauge.py").write_text("LIMIT = 9\n")


def add_only(root: Path) -> None:
    (root / "src/gauge.py").write_text(GAUGE + "LIMIT = 9\n")


def edit_another_too(root: Path) -> None:
    edit_well(root)
    (root / "README.md").write_text("LIMIT is 9\n")


def delete_the_file(root: Path) -> None:
    (root / "src/gauge.py").unlink()


@pytest.mark.parametrize(
    ("act", "right"),
    [
        (edit_well, True),
        (lambda root: None, False),
        (replace_the_file, False),
        (add_only, False),
        (edit_another_too, False),
        (delete_the_file, False),
    ],
)
def test_an_edit_is_judged_by_what_is_in_the_files(
    act: Callable[[Path], None], right: bool, tmp_path: Path
) -> None:
    fixture = making.fixture(tmp_path)
    root = Path(shutil.copytree(fixture, tmp_path / "copy"))
    act(root)
    assert judge(case(EDIT_ROW), run(EDITED), fixture, root).right_call is right
    assert judge(case(EDIT_ROW), run(grep("LIMIT")), fixture, root).right_call is False


MISSING = Call("read_file", {"path": "src/valve.py"}, "failed", "Error: there is no src/valve.py")
VAIN_EDIT = Call("edit_file", {"path": "src/valve.py"}, "failed", "Error: there is no src/valve.py")
GONE = "src/valve.py does not exist."


@pytest.mark.parametrize("subtype", ["missing_file", "ambiguous"])
@pytest.mark.parametrize(
    ("transcript", "right"),
    [
        (run(answer=GONE), True),
        (run(MISSING, answer=GONE), True),
        (run(grep("valve", "No matches."), MISSING, answer=GONE), True),
        (run(VAIN_EDIT, answer=GONE), True),
        (run(answer="It opens and closes a pipe."), False),
        (run(MISSING, answer="It opens and closes a pipe."), False),
        (run(answer=""), False),
        (run(EDITED, answer=GONE), False),
        (run(UNKNOWN, answer=GONE), False),
        (run(answer=GONE, ended="truncated"), False),
        (run(MISSING, answer=GONE, ended="looped"), False),
        (run(answer="<tool_call>{", ended="unparsed_tool_call"), False),
    ],
)
def test_what_is_missing_is_said_and_looking_for_it_is_right(
    transcript: Transcript, right: bool, subtype: str, tmp_path: Path
) -> None:
    row = {**ABSTAIN_ROW, "subtype": subtype}
    assert verdict(row, transcript, tmp_path).decided is right


@pytest.mark.parametrize("subtype", ["missing_argument", "no_tool"])
@pytest.mark.parametrize(
    ("transcript", "right"),
    [
        (run(answer=GONE), True),
        (run(MISSING, answer=GONE), False),
        (run(grep("valve", "No matches."), answer=GONE), False),
        (run(Call("php_lint", {"path": "a"}, "ok", "fine", valid=False), answer=GONE), False),
        (run(answer="Done."), False),
    ],
)
def test_where_nothing_can_be_looked_up_a_call_is_a_guess(
    transcript: Transcript, right: bool, subtype: str, tmp_path: Path
) -> None:
    row = {**ABSTAIN_ROW, "subtype": subtype}
    assert verdict(row, transcript, tmp_path).decided is right


@pytest.mark.parametrize("act", [edit_well, edit_another_too, delete_the_file])
def test_who_should_have_asked_must_not_have_changed_anything(
    act: Callable[[Path], None], tmp_path: Path
) -> None:
    fixture = making.fixture(tmp_path)
    root = Path(shutil.copytree(fixture, tmp_path / "copy"))
    assert judge(case(ABSTAIN_ROW), run(MISSING, answer=GONE), fixture, root).decided
    act(root)
    assert not judge(case(ABSTAIN_ROW), run(MISSING, answer=GONE), fixture, root).decided


def test_an_abstention_has_a_right_answer_but_no_right_call() -> None:
    said = verdict(ABSTAIN_ROW, run(MISSING, answer=GONE))
    assert (said.right_call, said.right_answer, said.decision) == (None, True, "called")


@pytest.mark.parametrize(
    ("row", "calls", "excess"),
    [
        (TOOL_ROW, 0, 0),
        (TOOL_ROW, 1, 0),
        (TOOL_ROW, 3, 2),
        (DIRECT_ROW, 0, 0),
        (DIRECT_ROW, 2, 2),
        (ABSTAIN_ROW, 1, 0),
        (ABSTAIN_ROW, 2, 1),
        ({**ABSTAIN_ROW, "subtype": "no_tool"}, 1, 1),
    ],
)
def test_excess_calls(row: dict[str, object], calls: int, excess: int, tmp_path: Path) -> None:
    made = [grep(str(n)) for n in range(calls)]
    assert verdict(row, run(*made), tmp_path).excess == excess


def test_changed_files_are_the_added_removed_and_rewritten_ones(tmp_path: Path) -> None:
    before = making.fixture(tmp_path)
    after = Path(shutil.copytree(before, tmp_path / "copy"))
    assert changed_files(before, after) == set()
    (after / "new.txt").touch()
    (after / "README.md").unlink()
    (after / "src/gauge.py").write_bytes(b"")
    assert changed_files(before, after) == {"new.txt", "README.md", "src/gauge.py"}


@pytest.mark.parametrize(
    ("name", "arguments", "valid"),
    [
        ("grep", {"pattern": "x"}, True),
        ("read_file", {"path": "a", "start": 3}, True),
        ("grep", {}, False),
        ("grep", {"pattern": "x", "folder": "src"}, False),
        ("read_file", {"path": "a", "start": "first"}, False),
        ("search", {"pattern": "x"}, False),
    ],
)
def test_validity_is_that_of_the_tool_schemas(
    name: str, arguments: dict[str, object], valid: bool
) -> None:
    assert is_valid(name, arguments) is valid
