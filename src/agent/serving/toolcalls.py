"""Tool calls in text: Hermes JSON between `<tool_call>` and `</tool_call>`."""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from agent.serving.tokenizer import HERMES_END, HERMES_START

_CALL = re.compile(f"{re.escape(HERMES_START)}(.*?){re.escape(HERMES_END)}", re.DOTALL)


@dataclass(frozen=True)
class ToolCall:
    """A call as the wire has it: `arguments` is the text of a JSON object."""

    name: str
    arguments: str


def parse(text: str) -> ToolCall:
    """The call that the text between the markers spells.

    Raises ValueError when it is not a JSON object with a name and an object of arguments.
    """
    try:
        call = json.loads(text)
    except RecursionError as error:
        raise ValueError("nested too deeply") from error
    return from_object(call)


def from_object(call: Any) -> ToolCall:
    """The call in a parsed {"name": ..., "arguments": {...}}. Raises ValueError otherwise."""
    if not isinstance(call, Mapping) or not isinstance(call.get("name"), str):
        raise ValueError("a tool call is an object with a name")
    arguments = call.get("arguments", {})
    if isinstance(arguments, str):
        arguments = json.loads(arguments)
    if not isinstance(arguments, dict):
        raise ValueError("arguments must be an object")
    return ToolCall(call["name"], dump(arguments))


def dump(arguments: Mapping[str, Any]) -> str:
    """Arguments as JSON text; a lone surrogate, which no encoding carries, becomes U+FFFD."""
    text = json.dumps(arguments, ensure_ascii=False)
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def split(text: str) -> tuple[str, list[ToolCall]]:
    """The text outside Hermes markers, and the calls inside them.

    Raises ValueError when one of them does not parse.
    """
    return _CALL.sub("", text), [parse(inside) for inside in _CALL.findall(text)]
