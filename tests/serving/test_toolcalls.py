import json

import pytest

from agent.serving import toolcalls
from agent.serving.toolcalls import ToolCall


def test_a_hermes_call_is_read() -> None:
    call = toolcalls.parse('\n{"name": "grep", "arguments": {"pattern": "ü"}}\n')
    assert call == ToolCall("grep", '{"pattern": "ü"}')


BROKEN = ["", "{", "[]", '{"arguments": {}}', '{"name": 1}', '{"name": "a", "arguments": [1]}']


@pytest.mark.parametrize("text", [*BROKEN, "[" * 9999])
def test_anything_else_is_refused(text: str) -> None:
    with pytest.raises(ValueError):
        toolcalls.parse(text)


def test_arguments_as_text_are_understood() -> None:
    assert toolcalls.from_object({"name": "a", "arguments": '{"b": 1}'}).arguments == '{"b": 1}'


def test_lone_surrogates_never_reach_the_wire() -> None:
    call = toolcalls.parse('{"name": "a", "arguments": {"b": "\\ud800"}}')
    call.arguments.encode()
    assert json.loads(call.arguments) == {"b": "\ufffd"}


def test_split_separates_text_and_calls() -> None:
    text = 'Look: <tool_call>\n{"name": "a", "arguments": {}}\n</tool_call>'
    assert toolcalls.split(text) == ("Look: ", [ToolCall("a", "{}")])
