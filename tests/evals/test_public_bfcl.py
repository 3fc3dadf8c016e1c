from pathlib import Path
from typing import Any

import pytest

from agent.exits import UsageError
from agent_evals import public
from agent_evals.cli import main
from agent_evals.public.cases import PublicCase
from agent_evals.score import score
from agent_evals.store import read
from tests.evals.public_making import AREA, BMI, bfcl, bfcl_row, replies, reply, write
from tests.scripted_endpoint import ScriptedEndpoint, call, calls, cut_call, raw_call, status, text


def load(path: Path) -> dict[str, PublicCase]:
    return {case.id: case for case in public.load(f"bfcl:{path}").cases}


@pytest.fixture
def positive(tmp_path: Path) -> PublicCase:
    return load(bfcl(tmp_path))["simple_python_0"]


@pytest.fixture
def negative(tmp_path: Path) -> PublicCase:
    return load(bfcl(tmp_path))["irrelevance_0"]


def test_categories_are_subtypes_and_both_classes_are_there(tmp_path: Path) -> None:
    suite = public.load(f"bfcl:{bfcl(tmp_path)}")
    assert {(c.label, c.subtype) for c in suite.cases} == {
        ("tool", "simple_python"),
        ("direct", "irrelevance"),
    }
    assert suite.notes == ()


def test_a_question_with_and_without_its_tool_is_a_pair(tmp_path: Path) -> None:
    rows, _ = replies(list(load(bfcl(tmp_path)).values()), text("It is 9."))
    assert len({row.pair for row in rows}) == 1 and rows[0].pair
    assert (score(rows).pairs.value, score(rows).balanced.value) == (0, 0.5)


def test_one_file_is_a_suite_too(tmp_path: Path) -> None:
    assert list(load(bfcl(tmp_path) / "BFCL_v4_irrelevance.json")) == ["irrelevance_0"]


def test_the_request_carries_the_sets_tools_as_json_schema(positive: PublicCase) -> None:
    _, (request,) = replies([positive], text("9"))
    assert request["messages"] == [{"role": "user", "content": "Area of a square of side 3?"}]
    (tool,) = request["tools"]
    assert tool["function"] == {
        "name": "shape_area",
        "description": "Area of a shape.",
        "parameters": {
            "type": "object",
            "properties": {
                "shape": {"type": "string", "enum": ["square", "circle"]},
                "side": {"type": "number", "description": "Its side."},
                "unit": {"type": "string"},
            },
            "required": ["shape", "side"],
            "additionalProperties": False,
        },
    }


def test_a_right_call(positive: PublicCase) -> None:
    row = reply(positive, call("shape_area", shape="square", side=3.0))
    assert (row.verdict.decision, row.verdict.decided, row.verdict.right_call) == (
        "called",
        True,
        True,
    )
    assert [(c.name, c.valid) for c in row.calls] == [("shape.area", True)]
    assert (row.fixture, row.split, row.model["hash"]) == ("bfcl", "test", "fp-scripted")


@pytest.mark.parametrize(
    "arguments",
    [
        {"shape": "square", "side": 4},
        {"shape": "circle", "side": 3},
        {"shape": "square", "side": 3, "unit": "m"},
    ],
)
def test_wrong_arguments_are_a_right_decision_and_a_wrong_call(
    positive: PublicCase, arguments: dict[str, Any]
) -> None:
    verdict = reply(positive, call("shape_area", **arguments)).verdict
    assert (verdict.decision, verdict.decided, verdict.right_call) == ("called", True, False)


@pytest.mark.parametrize(
    "name, arguments",
    [
        ("shape_area", "{not json"),
        ("shape_area", '["square", 3]'),
        ("shape_area", '{"shape": "square"}'),
        ("shape_area", '{"shape": "star", "side": 3}'),
        ("shape_area", '{"shape": "square", "side": "three"}'),
        ("shape_area", '{"shape": "square", "side": 3, "colour": "red"}'),
        ("volume", '{"shape": "square", "side": 3}'),
    ],
)
def test_an_unusable_call_is_neither_call_nor_abstention(
    positive: PublicCase, negative: PublicCase, name: str, arguments: str
) -> None:
    for case in (positive, negative):
        verdict = reply(case, raw_call(name, arguments)).verdict
        assert (verdict.decision, verdict.decided, verdict.malformed) == ("malformed", False, 1)
        assert not verdict.right_call


def test_a_printed_call_counts_as_the_product_counts_it(positive: PublicCase) -> None:
    printed = '<tool_call>{"name": "shape_area", "arguments": {"shape": "square", "side": 3}}'
    row = reply(positive, text(printed))
    assert (row.verdict.right_call, row.interventions) == (True, ("rescued_tool_call",))
    broken = reply(positive, text('<tool_call>{"name": "shape_area", "arg'))
    assert (broken.ended, broken.verdict.decision) == ("unparsed_tool_call", "malformed")


def test_silence_is_an_error_of_both_classes(positive: PublicCase, negative: PublicCase) -> None:
    for case in (positive, negative):
        row = reply(case, text(""))
        assert (row.ended, row.verdict.decision, row.verdict.decided) == ("empty", "error", False)


@pytest.mark.parametrize(
    "behaviour", [status(500, "no"), cut_call("shape_area", "{"), text("Ni", finish="length")]
)
def test_a_reply_that_breaks_off_is_an_error(negative: PublicCase, behaviour: Any) -> None:
    row = reply(negative, behaviour)
    assert (row.verdict.decision, row.verdict.decided, bool(row.message)) == ("error", False, True)


def test_any_answer_is_right_where_no_tool_is_relevant(negative: PublicCase) -> None:
    verdict = reply(negative, text("It is 9.")).verdict
    assert (verdict.decision, verdict.decided, verdict.right_answer) == ("answered", True, None)
    assert not reply(negative, call("body_mass", kilos=3)).verdict.decided


def test_parallel_calls_in_any_order(tmp_path: Path) -> None:
    write(tmp_path / "BFCL_v4_parallel.json", bfcl_row("p_0", "Both?", AREA))
    truth = [{"shape.area": {"shape": ["square"], "side": [n]}} for n in (1, 2)]
    answers = tmp_path / "possible_answer" / "BFCL_v4_parallel.json"
    write(answers, {"id": "p_0", "ground_truth": truth})
    case = load(tmp_path)["p_0"]
    one, two = (("shape_area", f'{{"shape": "square", "side": {n}}}') for n in (1, 2))
    assert reply(case, calls(two, one)).verdict.right_call
    assert not reply(case, calls(one, one)).verdict.right_call
    alone = reply(case, calls(one)).verdict
    assert (alone.decided, alone.right_call) == (True, False)


def test_relevance_asks_for_any_valid_call(tmp_path: Path) -> None:
    write(tmp_path / "BFCL_v4_live_relevance.json", bfcl_row("r_0", "Which?", AREA, BMI))
    case = load(tmp_path)["r_0"]
    verdict = reply(case, call("body_mass", kilos=3)).verdict
    assert (verdict.decided, verdict.right_call) == (True, None)


def test_what_is_left_out_is_said(tmp_path: Path) -> None:
    bfcl(tmp_path)
    write(tmp_path / "BFCL_v4_multi_turn_base.json", {"id": "m"})
    write(tmp_path / "BFCL_v4_multiple.json", bfcl_row("multiple_0", "Which?", AREA, BMI))
    notes = public.load(f"bfcl:{tmp_path}").notes
    assert notes[0].startswith("Left out: BFCL_v4_multi_turn_base.json;")
    assert "Without answers beside them" in notes[1]


@pytest.mark.parametrize(
    "name, content, said",
    [
        ("BFCL_v4_irrelevance.json", "", "has no rows; expected BFCL's files"),
        ("BFCL_v4_irrelevance.json", "{", "line 1: this is no JSON; expected BFCL's files"),
        ("BFCL_v4_irrelevance.json", '{"id": "x"}', "line 1: 'question' is missing; expected"),
        ("BFCL_v4_irrelevance.json", "[3]", "row 1: 'id' is missing; expected"),
        ("BFCL_v4_memory.json", "{}", "categories of one turn are run. Expected BFCL's"),
        ("mine.json", "{}", "names no category; expected BFCL's files"),
    ],
)
def test_a_wrong_file_is_told_with_what_was_expected(
    tmp_path: Path, name: str, content: str, said: str
) -> None:
    (tmp_path / name).write_text(content)
    with pytest.raises(UsageError, match=said):
        load(tmp_path / name)


def test_a_wrong_path_is_told_with_what_was_expected(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"no file or folder .* expected BFCL's files"):
        load(tmp_path / "nowhere")
    with pytest.raises(UsageError, match="is of this set; expected BFCL's files"):
        load(tmp_path)
    with pytest.raises(UsageError, match="name your copy of the set"):
        public.load("bfcl:")


def test_rows_and_answers_that_do_not_belong_together(tmp_path: Path) -> None:
    bfcl(tmp_path)
    answers = tmp_path / "possible_answer" / "BFCL_v4_simple_python.json"
    write(answers, {"id": "another", "ground_truth": []})
    with pytest.raises(UsageError, match="its row in possible_answer is missing"):
        load(tmp_path)


def test_an_id_that_occurs_twice(tmp_path: Path) -> None:
    row = bfcl_row("irrelevance_0", "Hm?", BMI)
    write(tmp_path / "BFCL_v4_irrelevance.json", row, row)
    with pytest.raises(UsageError, match="'irrelevance_0' occurs twice"):
        load(tmp_path)


def test_answers_that_do_not_fit_their_own_tools(tmp_path: Path) -> None:
    bfcl(tmp_path)
    truth = [{"shape.area": {"shape": ["star"], "side": [3]}}]
    answers = tmp_path / "possible_answer" / "BFCL_v4_simple_python.json"
    write(answers, {"id": "simple_python_0", "ground_truth": truth})
    assert "1 of the answers do not fit their own tools" in public.load(f"bfcl:{tmp_path}").notes[0]
    verdict = reply(load(tmp_path)["simple_python_0"], call("shape_area", shape="circle", side=3))
    assert (verdict.verdict.decided, verdict.verdict.right_call) == (True, None)


def test_the_command_runs_a_set_and_reports_it(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path, out = bfcl(tmp_path / "copy"), tmp_path / "out"
    right = call("shape_area", shape="square", side=3)
    with ScriptedEndpoint([text("Hello")] + 2 * [right]) as server:
        command = ["--suite", f"bfcl:{path}", "--base-url", server.base_url, "--out", str(out)]
        assert main([*command, "--concurrency", "1"]) == 0
        assert len(server.requests) == 3
        assert main([*command, "--concurrency", "1"]) == 0
        assert len(server.requests) == 3
    rows = {row.id: row for row in read(out).rows}
    assert rows["simple_python_0"].verdict.right_call
    assert rows["irrelevance_0"].verdict.malformed == 1
    assert "irrelevance" in capsys.readouterr().out


def test_the_command_tells_a_wrong_path(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--suite", f"bfcl:{tmp_path / 'nowhere'}"]) == 2
    assert "expected BFCL's files" in capsys.readouterr().err
