"""`agent bench validate` finds what is wrong with a suite, and `show` tells a case."""

import json
from pathlib import Path
from typing import Any

import pytest

from agent.cli import main
from agent_evals import suite, validate
from agent_evals.fixtures import fixture_hash
from agent_evals.similar import Neighbours, families, template
from tests.evals.making import ABSTAIN_ROW, DIRECT_ROW, EDIT_ROW, TOOL_ROW, suite_file

Row = dict[str, Any]
DIRECT_ROW_2 = {**DIRECT_ROW, "id": "d2", "question": "Why do people write tests?"}
NO_TOOL = {**ABSTAIN_ROW, "id": "n1", "subtype": "no_tool", "offered": ["grep"]}


def problems(folder: Path, *rows: Row) -> list[tuple[str, str]]:
    chosen = suite.load(str(suite_file(folder, *rows)))
    return [(problem.where, problem.kind) for problem in validate.checks(chosen)]


def test_a_sound_suite_has_no_problem(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = suite_file(tmp_path, TOOL_ROW, EDIT_ROW, DIRECT_ROW, DIRECT_ROW_2)
    assert main(["bench", "validate", str(path)]) == 0
    shown = capsys.readouterr().out
    assert "4 cases" in shown
    assert "No problem found." in shown


@pytest.mark.parametrize(
    ("row", "kind"),
    [
        ({**TOOL_ROW, "gold": None}, "no gold call"),
        ({**TOOL_ROW, "tools": ["read_file"]}, "the gold call is not among the tools that count"),
        ({**TOOL_ROW, "offered": ["read_file"]}, "the gold call is not offered"),
        ({**TOOL_ROW, "gold": {"name": "grep", "arguments": {}}}, "the gold call fails"),
        (
            {**TOOL_ROW, "gold": {"name": "grep", "arguments": {"pattern": "["}}},
            "the gold call fails",
        ),
        ({**TOOL_ROW, "evidence": ["Thermo"]}, "the gold call does not give the evidence"),
        (
            {**TOOL_ROW, "answer": [["thermometer"]]},
            "an answer is neither in the evidence nor in the fixture",
        ),
        ({**TOOL_ROW, "answer": [["o"]]}, "a careless answer passes"),
        (
            {**EDIT_ROW, "after": [{"path": "src/gauge.py", "contains": "LIMIT"}]},
            "the postcondition holds before anything was done",
        ),
        (
            {**EDIT_ROW, "after": [{"path": "src/gauge.py", "contains": "LIMIT = 8"}]},
            "the postcondition does not hold after the gold call",
        ),
        (
            {**EDIT_ROW, "after": [{"path": "README.md", "lacks": "LIMIT"}]},
            "the scorer rejects the gold call",
        ),
        ({**TOOL_ROW, "pair": "p"}, "a pair is one tool case and one that takes no tool"),
        (
            {**NO_TOOL, "offered": None},
            "a no_tool case, and no other that abstains, names the tools offered",
        ),
    ],
)
def test_a_flawed_case_is_found(row: Row, kind: str, tmp_path: Path) -> None:
    assert (row["id"], kind) in problems(tmp_path, row)


def test_cases_that_do_not_go_together_are_found(tmp_path: Path) -> None:
    found = problems(
        tmp_path,
        {**DIRECT_ROW, "family": "f"},
        {**DIRECT_ROW_2, "family": "f", "split": "test"},
        {**DIRECT_ROW, "id": "d3", "question": "what is a gauge"},
    )
    assert ("d2", "its family is in both splits") in found
    assert ("d2", "its fixture is in both splits") in found
    assert ("d3", "nearly the same question as another case") in found
    assert ("dev", "tool and direct cases are out of balance") in found


def test_the_sides_of_a_pair_may_be_alike(tmp_path: Path) -> None:
    asked = {"pair": "p", "question": "Where is Gauge defined?!"}
    assert problems(tmp_path, {**TOOL_ROW, "pair": "p"}, {**DIRECT_ROW, **asked}) == []


LONG = "how do i tell the gauge in the cellar that the limit is nine instead of five bar"


@pytest.mark.parametrize(
    ("row", "known"),
    [
        ({"messages": [{"role": "user", "content": "what is a GAUGE"}]}, True),
        ({"messages": [{"role": "assistant", "content": "what is a GAUGE"}]}, False),
        ({"qs": ["unlike", "What is a gauge ?"], "a": "x"}, True),
        ({"messages": [{"role": "tool", "content": f"so. {LONG}, he said"}]}, True),
        ({"q": " ".join(LONG.split()[:12])}, False),
        ({"q": "What is a goat?"}, False),
    ],
)
def test_a_training_row_that_knows_a_case_is_found(
    row: Row, known: bool, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    long = {**DIRECT_ROW, "id": "d2", "question": LONG}
    path = suite_file(tmp_path, TOOL_ROW, EDIT_ROW, DIRECT_ROW, long)
    (tmp_path / "rows").mkdir()
    (tmp_path / "rows" / "train.jsonl").write_text(json.dumps(row) + "\n")
    status = main(["bench", "validate", str(path), "--against", str(tmp_path / "rows")])
    assert status == known
    assert ("train.jsonl, line 1" in capsys.readouterr().out) is known


def test_a_training_file_that_is_none_is_told(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = suite_file(tmp_path, DIRECT_ROW)
    (tmp_path / "train.jsonl").write_text("{\n")
    for name, says in (("train.jsonl", "line 1 is not JSON"), ("gone.jsonl", "cannot be read")):
        assert main(["bench", "validate", str(path), "--against", str(tmp_path / name)]) == 2
        assert says in capsys.readouterr().err


def test_a_fixture_that_changed_is_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = suite_file(tmp_path, DIRECT_ROW)
    pins = tmp_path / "fixtures" / "HASHES"
    fixture = tmp_path / "fixtures" / "meter"
    pins.write_text(f"{fixture_hash(fixture)}  meter\n")
    assert suite.load(str(path)).cases
    (fixture / "README.md").write_text("# Another\n")
    assert main(["bench", "validate", str(path)]) == 2
    told = capsys.readouterr().err
    assert "is not the one that is pinned" in told
    pins.write_text(told.split("the line '")[1].split("'")[0] + "\n")
    assert suite.load(str(path)).cases


def test_what_is_alike_differs_in_names_only() -> None:
    asked = {
        "a": "where is StockLedger defined?",
        "b": "Where is `parse_args` defined",
        "c": "who calls src/main.py?",
        "d": "where is stock/ledger.php defined please",
    }
    assert template(asked["a"]) == template(asked["b"]) == "where is • defined"
    templates = {name: template(text) for name, text in asked.items()}
    assert families(templates, 0.7) == {"a": "a", "b": "a", "c": "c", "d": "a"}
    assert list(Neighbours(asked).of("WHERE is StockLedger defined")) == ["a"]


def test_a_case_is_shown_with_the_real_result_of_its_gold_call(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = suite_file(tmp_path, TOOL_ROW, EDIT_ROW, ABSTAIN_ROW, NO_TOOL)
    assert main(["bench", "show", "t1", "--suite", str(path)]) == 0
    shown = capsys.readouterr().out
    assert "Where is Gauge defined?" in shown
    assert "src/gauge.py:3: class Gauge:" in shown.replace("\n  | 3:", "src/gauge.py:3:")
    assert main(["bench", "show", "e1", "--suite", str(path)]) == 0
    assert "afterwards src/gauge.py lacks 'LIMIT = 5'" in capsys.readouterr().out
    assert main(["bench", "show", "n1", "--suite", str(path)]) == 0
    assert "offered: grep" in capsys.readouterr().out


def test_a_case_that_is_not_there_is_told(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = suite_file(tmp_path, TOOL_ROW)
    assert main(["bench", "show", "t9", "--suite", str(path)]) == 2
    assert "has no case 't9'; its ids are like t1." in capsys.readouterr().err
