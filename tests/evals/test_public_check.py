from typing import Any

import pytest

from agent_evals.public.cases import Wanted
from agent_evals.public.check import fits, said
from agent_evals.public.schema import convert, offered
from agent_evals.transcript import Call


@pytest.mark.parametrize(
    "values, given, right",
    [
        (["New York, NY"], "new york,NY", True),
        (["New York"], "  New   York ", True),
        (["New York"], "NewYork", False),
        (["src/app.py"], "src/app.py", True),
        (["src/app.py"], "srcapppy", False),
        (["src/app.py"], "src/App.py", False),
        (["a_b-c"], "abc", False),
        (["README.md"], "readme.md", False),
        ([3], 3.0, True),
        ([0.1], 0.1000000000000001, True),
        ([1], True, False),
        ([True], True, True),
        (["3"], 3, False),
        ([[1, 2]], [1, 2.0], True),
        ([[1, 2]], [2, 1], False),
        ([[{"k": ["v", "w"]}]], [{"k": "W"}], True),
        ([{"k": ["v"], "o": [1, ""]}], {"k": "v"}, True),
        ([{"k": ["v"]}], {"k": "v", "x": 1}, False),
        ([{"k": ["v"]}], {}, False),
        ([None], None, True),
    ],
)
def test_values(values: list[Any], given: Any, right: bool) -> None:
    assert fits(Wanted("f", {"p": values}), Call("f", {"p": given}, "ok", "")) is right


def test_parameters_left_out_and_added() -> None:
    wanted = Wanted("f", {"p": [1], "q": ["", 2]})
    assert fits(wanted, Call("f", {"p": 1}, "ok", ""))
    assert not fits(wanted, Call("f", {"q": 2}, "ok", ""))
    assert not fits(wanted, Call("f", {"p": 1, "r": 1}, "ok", ""))
    assert not fits(wanted, Call("g", {"p": 1}, "ok", ""))
    assert fits(Wanted("f"), Call("f", {"anything": 1}, "ok", ""))


@pytest.mark.parametrize(
    "answer, kind",
    [
        ("Which city do you mean?", "ask"),
        ("Please provide the order number.", "ask"),
        ("I'll need the exact date first.", "ask"),
        ("I cannot look that up. Could you give me the id?", "ask"),
        ("请提供日期。", "ask"),
        ("I don\N{RIGHT SINGLE QUOTATION MARK}t have a tool for that.", "cannot"),
        ("None of the available functions can do this.", "cannot"),
        ("抱歉\N{FULLWIDTH COMMA}我无法回答。", "cannot"),
        ("It is 9. Would you like more details?", "direct"),
        ("Hello! How can I help you today?", "direct"),
        ("Use `please provide?` as the label.", "direct"),
    ],
)
def test_what_an_answer_does(answer: str, kind: str) -> None:
    assert said(answer) == kind


@pytest.mark.parametrize(
    "declared, schema",
    [
        ({"type": "dict", "properties": {}}, {"type": "object", "properties": {}}),
        ({"type": "float", "optional": True}, {"type": "number"}),
        (
            {"type": "tuple", "items": {"type": "float"}},
            {"type": "array", "items": {"type": "number"}},
        ),
        ({"type": "any", "description": "x"}, {"description": "x"}),
        ({"type": "str, optional", "default": ""}, {"type": "string", "default": ""}),
        ({"type": "List[int]"}, {"type": "array"}),
        ({"type": "SomeClass"}, {}),
        ({"type": "integer", "enum": ["1", "2"]}, {"type": "integer"}),
        ({"type": "integer", "enum": ["1", 2, True]}, {"type": "integer", "enum": [2]}),
        (
            {"type": "dict", "properties": {"a": {"type": "any"}}, "required": ["a", "b"]},
            {"type": "object", "properties": {"a": {}}, "required": ["a"]},
        ),
        (
            {"properties": {"a": {"type": "int"}}, "required": True},
            {"type": "object", "properties": {"a": {"type": "integer"}}},
        ),
        ("string", {}),
    ],
)
def test_types_of_every_set_become_json_schema(declared: Any, schema: Any) -> None:
    from jsonschema import Draft202012Validator

    converted = convert(declared)
    Draft202012Validator.check_schema(converted)
    assert converted == schema


def test_names_are_made_fit_for_the_wire_and_stay_apart() -> None:
    names = ["math.sum", "math_sum", "x" * 70, "x" * 80, "größe"]
    tools = offered([{"name": name} for name in names], "row 1")
    wires = [tool.wire for tool in tools]
    assert wires[:2] == ["math_sum", "math_sum_2"]
    assert len(set(wires)) == 5 and max(map(len, wires)) <= 64
    assert all(wire.replace("_", "").isascii() for wire in wires)
    assert [tool.name for tool in tools] == names
