"""When2Call, MetaTool and ACEBench: what is theirs alone."""

import json
from pathlib import Path
from typing import Any

import pytest

from agent.exits import UsageError
from agent_evals import public
from agent_evals.public import outcomes
from agent_evals.public.cases import PublicCase
from tests.evals.public_making import AREA, BMI, replies, reply, write
from tests.scripted_endpoint import call, calls, text


def load(spec: str) -> dict[str, PublicCase]:
    return {case.id: case for case in public.load(spec).cases}


def when2call(folder: Path, outcome: str, **more: Any) -> PublicCase:
    row = {
        "uuid": "u1",
        "question": "Area of my square?",
        "correct_answer": outcome,
        "target_tool": json.dumps(AREA),
        "tools": [json.dumps(AREA)],
        **more,
    }
    return load(f"when2call:{write(folder / 'test_mcq.jsonl', row)}")["u1"]


ASK = "Could you please tell me its side?"
CANNOT = "I'm sorry, I can't measure squares."
DIRECT = "It is 9 square metres."


@pytest.mark.parametrize(
    "outcome, answer, decided, right",
    [
        ("request_for_info", ASK, True, True),
        ("request_for_info", CANNOT, True, False),
        ("request_for_info", DIRECT, True, False),
        ("cannot_answer", CANNOT, True, True),
        ("cannot_answer", ASK, True, False),
        ("direct", DIRECT, True, True),
        ("direct", ASK, True, False),
        ("tool_call", ASK, False, None),
    ],
)
def test_the_four_outcomes(
    tmp_path: Path, outcome: str, answer: str, decided: bool, right: bool | None
) -> None:
    case = when2call(tmp_path, outcome)
    verdict = reply(case, text(answer)).verdict
    assert (case.subtype, verdict.decided, verdict.right_answer) == (outcome, decided, right)


def test_the_outcomes_are_counted_and_have_an_f1(tmp_path: Path) -> None:
    rows = [
        reply(when2call(tmp_path, outcome), behaviour)
        for outcome, behaviour in [
            ("request_for_info", text(ASK)),
            ("cannot_answer", text(ASK)),
            ("tool_call", call("shape_area", shape="square", side=3)),
            ("tool_call", call("shape_area", shape="square")),
        ]
    ]
    assert outcomes.counted(rows) == {
        ("ask", "ask"): 1,
        ("cannot", "ask"): 1,
        ("call", "call"): 1,
        ("call", "malformed"): 1,
    }
    assert outcomes.macro_f1(outcomes.counted(rows)) == pytest.approx((2 / 3 + 0 + 2 / 3) / 3)
    assert "macro F1 44.4" in outcomes.report(rows)


def test_when2call_asks_for_the_target_tool(tmp_path: Path) -> None:
    tools = [json.dumps(AREA), json.dumps(BMI)]
    case = when2call(tmp_path, "tool_call", tools=tools)
    assert reply(case, call("shape_area", shape="square", side=3)).verdict.right_call
    other = reply(case, call("body_mass", kilos=3)).verdict
    assert (other.decided, other.right_call) == (True, False)


def test_a_call_where_none_is_right(tmp_path: Path) -> None:
    case = when2call(tmp_path, "request_for_info")
    verdict = reply(case, call("shape_area", shape="square", side=1)).verdict
    assert (verdict.decision, verdict.decided, verdict.right_answer) == ("called", False, False)


def test_without_tools_the_request_has_none(tmp_path: Path) -> None:
    case = when2call(tmp_path, "cannot_answer", tools=[])
    (row,), (request,) = replies([case], text(CANNOT))
    assert "tools" not in request
    assert row.verdict.right_answer


@pytest.mark.parametrize(
    "change, said",
    [
        ({"correct_answer": "maybe"}, "'maybe' is none of tool_call, direct"),
        ({"tools": ["{"]}, "expected tools, each a JSON object"),
        ({"tools": [{"description": "x"}]}, "expected tools with a name"),
    ],
)
def test_wrong_rows_of_when2call(tmp_path: Path, change: dict[str, Any], said: str) -> None:
    with pytest.raises(UsageError, match=f"line 1: .*{said}"):
        when2call(tmp_path, "direct", **change)


def test_the_judges_rows_are_not_counted_twice(tmp_path: Path) -> None:
    when2call(tmp_path, "direct")
    (tmp_path / "test_llm_judge.jsonl").write_bytes((tmp_path / "test_mcq.jsonl").read_bytes())
    assert len(load(f"when2call:{tmp_path}")) == 1


def metatool(folder: Path) -> dict[str, PublicCase]:
    rows = [
        {"query": "Weather?", "label": "positive", "tool": "W", "thought_prompt": "Yes or no: W?"},
        {"query": "A poem", "label": "negative", "thought_prompt": "Yes or no: poem?"},
    ]
    (folder / "Task1.json").write_text(json.dumps(rows))
    prompt = (
        "List:\n1. tool name: Rain, tool description: ['Tells rain.']\n"
        "2. tool name: PDF Maker, tool description: Makes files.\n\n[End]"
    )
    choices = [
        {"query": "Will it rain?", "tool": "Rain", "action_prompt": prompt},
        {"query": "Back in time!", "tool": "timeport", "action_prompt": prompt},
        {"query": "Rain as PDF", "tool": ["PDF Maker", "Rain"], "action_prompt": prompt},
    ]
    (folder / "Task2-Subtask3.json").write_text(json.dumps(choices))
    return load(f"metatool:{folder}")


@pytest.mark.parametrize(
    "name, answer, decision, decided",
    [
        ("Task1-0", "Yes, it is live data.", "called", True),
        ("Task1-0", "**No**. I know it.", "answered", False),
        ("Task1-1", "no", "answered", True),
        ("Task1-1", "Answer: Yes", "called", False),
        ("Task1-1", "Roses are red, no doubt", "malformed", False),
        ("Task1-1", "", "error", False),
    ],
)
def test_awareness_is_told_in_words(
    tmp_path: Path, name: str, answer: str, decision: str, decided: bool
) -> None:
    verdict = reply(metatool(tmp_path)[name], text(answer)).verdict
    assert (verdict.decision, verdict.decided) == (decision, decided)


def test_selection_is_a_call_to_one_of_the_tools_listed(tmp_path: Path) -> None:
    cases = metatool(tmp_path)
    assert [case.subtype for case in cases.values()] == [
        "awareness",
        "awareness",
        "selection",
        "unavailable",
        "several",
    ]
    _, (request,) = replies([cases["Task2-Subtask3-0"]], text("Yes"))
    assert [tool["function"]["name"] for tool in request["tools"]] == ["Rain", "PDF_Maker"]
    right = reply(cases["Task2-Subtask3-0"], call("Rain", query="now")).verdict
    wrong = reply(cases["Task2-Subtask3-0"], call("PDF_Maker", query="now")).verdict
    assert (right.right_call, wrong.decided, wrong.right_call) == (True, True, False)


def test_the_tool_that_is_needed_is_not_listed(tmp_path: Path) -> None:
    case = metatool(tmp_path)["Task2-Subtask3-1"]
    assert reply(case, text("None of them travels in time.")).verdict.decided
    assert not reply(case, call("Rain", query="1850")).verdict.decided


def test_several_tools_are_called_at_once(tmp_path: Path) -> None:
    case = metatool(tmp_path)["Task2-Subtask3-2"]
    rain, pdf = (("Rain", '{"query": "x"}'), ("PDF_Maker", '{"query": "x"}'))
    assert reply(case, calls(rain, pdf)).verdict.right_call
    assert not reply(case, calls(rain)).verdict.right_call


def test_a_wrong_file_of_metatool(tmp_path: Path) -> None:
    (tmp_path / "Task1.json").write_text('[{"query": "x", "label": "maybe"}]')
    with pytest.raises(UsageError, match=r"row 1: expected MetaTool's Task1\.json"):
        load(f"metatool:{tmp_path}")


BOOK = {
    "name": "Trip_book",
    "description": "Books.",
    "parameters": {
        "type": "object",
        "properties": {
            "travelDate": {"type": "string"},
            "stay": {"type": "object", "properties": {"nights": {"type": "integer"}}},
        },
        "required": ["travelDate"],
    },
}


def acebench(folder: Path, category: str, truth: Any, **more: Any) -> PublicCase:
    row = {"id": f"{category}_0", "question": "user: Book it\n", "function": [BOOK], **more}
    path = write(folder / f"data_{category}.json", row)
    if truth is not None:
        answer = {"id": row["id"], "ground_truth": truth}
        write(folder / "possible_answer" / path.name, answer)
    return next(iter(load(f"acebench:{path}").values()))


def test_a_normal_case_of_acebench(tmp_path: Path) -> None:
    truth = {"Trip_book": {"travelDate": "2025-01-02", "stay": {"nights": 2}}}
    category = "normal_single_turn_single_function"
    case = acebench(tmp_path, category, truth, time="Today is 2025-01-01.")
    right = call("Trip_book", travelDate="2025-01-02", stay={"nights": 2})
    (row,), (request,) = replies([case], right)
    assert row.verdict.right_call
    assert request["messages"][0]["content"] == "Book it\n\nToday is 2025-01-01."
    for stay in ({"nights": 3}, {}):
        wrong = call("Trip_book", travelDate="2025-01-02", stay=stay)
        assert not reply(case, wrong).verdict.right_call


def test_calls_that_acebench_numbers_and_its_alternatives(tmp_path: Path) -> None:
    first, second = {"travelDate": "2025-01-02"}, {"travelDate": "2025-01-03"}
    both = {"Trip_book_1": first, "Trip_book_2": second}
    case = acebench(tmp_path, "normal_atom_bool", [both, {"Trip_book": first}])
    one, two = (("Trip_book", json.dumps(given)) for given in (first, second))
    assert reply(case, calls(two, one)).verdict.right_call
    assert reply(case, calls(one)).verdict.right_call
    assert not reply(case, calls(two)).verdict.right_call


@pytest.mark.parametrize(
    "category, truth, answer, right",
    [
        ("special_incomplete", {"Trip_book": ["travelDate"]}, "What is your travel date?", True),
        ("special_incomplete", {"Trip_book": ["travelDate"]}, "How many nights for you?", False),
        ("special_incomplete", {"Trip_book": ["travelDate"]}, "Your travel date is set.", False),
        ("special_error_param", {"travelDate": ["13:99"]}, "13:99 is not a valid date.", True),
        ("special_error_param", {"travelDate": ["13:99"]}, "That is not a valid date.", False),
        ("special_irrelevant", "limits", "I cannot do that with these tools.", True),
        ("special_irrelevant", "limits", "It is 9.", False),
    ],
)
def test_the_special_categories(
    tmp_path: Path, category: str, truth: Any, answer: str, right: bool
) -> None:
    case = acebench(tmp_path, category, truth)
    verdict = reply(case, text(answer)).verdict
    assert (case.label, verdict.decided, verdict.right_answer) == ("direct", True, right)
    called = reply(case, call("Trip_book", travelDate="x")).verdict
    assert (called.decided, called.right_answer) == (False, False)


def test_acebench_without_its_answers(tmp_path: Path) -> None:
    case = acebench(tmp_path, "special_incomplete", None)
    assert "Without answers beside them" in public.load(f"acebench:{tmp_path}").notes[0]
    assert reply(case, text("When do you travel?")).verdict.right_answer


@pytest.mark.parametrize("category", ["agent_multi_step", "normal_multi_turn_user_adjust"])
def test_acebench_categories_of_several_turns(tmp_path: Path, category: str) -> None:
    with pytest.raises(UsageError, match=r"categories of one turn are run\. Expected ACEBench's"):
        acebench(tmp_path, category, None)
