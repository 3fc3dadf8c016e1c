"""Tool calls: parsed, streamed, forced, withdrawn, and their results taken back."""

import functools
import json
from typing import Any

from agent.answer import clean, has_call_markup
from agent.doctor.finding import Finding, ok, problem, warning
from agent.doctor.probe import Message, Probe
from agent.doctor.reply import Call, Reply
from agent.prompt import SYSTEM

_OWN_SERVER = "Serve the model with `agent serve`, or with a server that parses its calls."
_NOT_NEEDED = (
    "`agent ask` does not depend on it; programs that do need another server (`agent serve`)."
)
_LIMIT = 160  # tokens of an answer

_LOOK: list[Message] = [
    {"role": "system", "content": SYSTEM},
    {"role": "user", "content": "Where is the class Basket defined?"},
]
_GENERAL: list[Message] = [
    {"role": "system", "content": SYSTEM},
    {"role": "user", "content": "What is a unit test?"},
]


def calls_whole(probe: Probe) -> Finding:
    """Whether a call in an answer that comes at once is parsed."""
    return _judged("tool calls", _with_tools(probe, _LOOK, stream=False))


def calls_streamed(probe: Probe) -> Finding:
    """Whether a call in a streamed answer is parsed."""
    return _judged("tool calls, streamed", _with_tools(probe, _LOOK))


def _judged(name: str, answer: Reply) -> Finding:
    if wrong := _unusable(answer):
        return problem(name, *wrong)
    if not answer.calls:
        return warning(
            name,
            "Asked where a class is defined, the model answered without looking.",
            "Use a model that was trained to call tools.",
        )
    called = ", ".join(f"{call.name}({call.arguments})" for call in answer.calls)
    if any(not call.id for call in answer.calls):
        return warning(name, f"{called}: a call has no id.", _OWN_SERVER)
    if answer.finish != "tool_calls":
        return warning(name, f"{called}, but finish_reason is {answer.finish!r}.", _OWN_SERVER)
    return ok(name, called)


def _unusable(answer: Reply) -> tuple[str, str] | None:
    """Why the assistant could not run what came, and what to do; None when it could."""
    if answer.failure:
        return f"A question with tools: the server {answer.failure}.", _OWN_SERVER
    if answer.finish == "tool_calls" and not answer.calls:
        text = "The server dropped a call: finish_reason is tool_calls, but none came."
        return text, _OWN_SERVER
    if not answer.calls and (has_call_markup(answer.text) or _is_bare_call(answer.text)):
        options = " llama.cpp needs --jinja, vLLM --enable-auto-tool-choice."
        return f"A call came as text: {answer.text[:80]}", _OWN_SERVER + options
    return next((wrong for call in answer.calls if (wrong := _unusable_call(call))), None)


def _unusable_call(call: Call) -> tuple[str, str] | None:
    if call.name not in _tools():
        advice = "Use a model that was trained to call tools."
        return f"A tool was called that is not there: {call.name!r}.", advice
    try:
        arguments = json.loads(call.arguments)
    except ValueError:
        return f"Arguments are not JSON: {call.arguments[:80]!r}.", _OWN_SERVER
    if not isinstance(arguments, dict):
        return f"Arguments are no object: {call.arguments[:80]}.", _OWN_SERVER
    missing = [key for key in _required(call.name) if not isinstance(arguments.get(key), str)]
    if missing:
        advice = "Use a server that keeps calls to the schema (`agent serve`), or a larger model."
        return f"{call.name} was called without {missing[0]}: {call.arguments[:80]}.", advice
    return None


@functools.cache
def _tools() -> dict[str, Any]:
    """The assistant's own tools as they go over the wire, by name."""
    from pydantic_ai import Tool

    from agent_tools import TOOLS

    definitions = [Tool(tool.__get__(object()), name=tool.__name__).tool_def for tool in TOOLS]
    return {
        tool.name: {
            "type": "function",
            "function": {
                "name": tool.name,
                "description": tool.description,
                "parameters": tool.parameters_json_schema,
            },
        }
        for tool in definitions
    }


def _required(name: str) -> list[str]:
    parameters: dict[str, Any] = _tools()[name]["function"]["parameters"]
    return list(parameters.get("required", []))


def _is_bare_call(text: str) -> bool:
    text = text.strip().removeprefix("```json").strip("` \n")
    try:
        spoken = json.loads(text)
    except ValueError:
        return False
    return isinstance(spoken, dict) and spoken.get("name") in _tools()


def results(probe: Probe) -> Finding:
    """Whether a conversation with a call and its result is taken, and answered."""
    name = "tool results"
    arguments = json.dumps({"pattern": "class .*Basket"})
    function = {"name": "grep", "arguments": arguments}
    call = {"id": "call_1", "type": "function", "function": function}
    found = "1 match in 1 file\nsrc/basket.py:1: class Basket:"
    conversation = [
        *_LOOK,
        {"role": "assistant", "content": None, "tool_calls": [call]},
        {"role": "tool", "tool_call_id": "call_1", "content": found},
    ]
    answer = _with_tools(probe, conversation)
    if answer.failure:
        advice = "The chat template must know the role tool; use another model or server."
        return problem(name, f"A call with its result {answer.failure}.", advice)
    if not clean(answer.text).strip() and not answer.calls:
        advice = "Use a model whose chat template shows tool results."
        return problem(name, "After a tool's result the answer is empty.", advice)
    if answer.calls or "basket.py" not in answer.text:
        advice = "Check that the chat template shows tool results; else use a larger model."
        return warning(name, "The answer does not use the tool's result.", advice)
    return ok(name, "A tool's result is read and used.")


def choice_none(probe: Probe) -> Finding:
    """Whether `tool_choice: none` keeps the model from calling."""
    name, answer = "tool_choice none", _with_tools(probe, _LOOK, tool_choice="none")
    if answer.failure:
        return _refused(name, answer)
    if answer.calls or answer.finish == "tool_calls":
        return _ignored(name, "a tool was called all the same")
    if has_call_markup(answer.text):
        return _ignored(name, "the model called a tool all the same, and the call came as text")
    return ok(name, "No tool was called.")


def choice_required(probe: Probe) -> Finding:
    """Whether `tool_choice: required` makes the model call."""
    name, answer = "tool_choice required", _with_tools(probe, _GENERAL, tool_choice="required")
    if answer.failure:
        return _refused(name, answer)
    if wrong := _unusable(answer):
        return warning(name, *wrong)
    if not answer.calls and answer.finish == "length":
        text = f"No call came within {_LIMIT} tokens, and the answer did not end."
        return warning(name, text, _NOT_NEEDED)
    if not answer.calls:
        return _ignored(name, "a general question was answered without a call")
    return ok(name, f"{answer.calls[0].name} was called.")


def choice_named(probe: Probe) -> Finding:
    """Whether naming a tool makes the model call that one."""
    wanted = {"type": "function", "function": {"name": "read_file"}}
    name, answer = "tool_choice named", _with_tools(probe, _LOOK, tool_choice=wanted)
    if answer.failure:
        return _refused(name, answer)
    if [call.name for call in answer.calls[:1]] != ["read_file"]:
        called = answer.calls[0].name if answer.calls else "no tool"
        return _ignored(name, f"read_file was named, {called} was called")
    return ok(name, "The named tool was called.")


def _ignored(name: str, how: str) -> Finding:
    return warning(name, f"The server ignores it silently: {how}.", _NOT_NEEDED)


def _refused(name: str, answer: Reply) -> Finding:
    if 400 <= answer.status < 500:
        return warning(name, f"The server refuses it: it {answer.failure}.", _NOT_NEEDED)
    return problem(name, f"The server fails on it: it {answer.failure}.", _OWN_SERVER)


def _with_tools(probe: Probe, conversation: list[Message], **more: Any) -> Reply:
    return probe.ask(conversation, tools=list(_tools().values()), max_tokens=_LIMIT, **more)
