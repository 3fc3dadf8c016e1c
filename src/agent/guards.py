"""What keeps a run honest: loops, rejected calls, turns, permissions, and what the model sees.

One guard lives for one run. It is a PydanticAI capability: PydanticAI calls its hooks around every
model request and every tool call.
"""

import os
import time
from collections.abc import Awaitable, Callable, Collection
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from pydantic import ValidationError
from pydantic_ai import ModelRetry, RunContext, ToolDefinition
from pydantic_ai.capabilities import AbstractCapability
from pydantic_ai.exceptions import ToolFailed
from pydantic_ai.messages import ModelResponse, TextPart, ToolCallPart
from pydantic_ai.models import ModelRequestContext

from agent import answer, loops, rescue
from agent.context import Meter
from agent.events import Emit, Message, Outcome, ToolCall, ToolResult, ToolUse
from agent.permissions import Policy
from agent.preview import preview
from agent_tools import TOOLS, ToolError

_OURS = frozenset(tool.__name__ for tool in TOOLS)
_HAVE_IT = (
    "You already made this call and its result is above; it will not change. "
    "Do not call tools now. Answer the question with what you have, or say what you could not find."
)
_SAME_ERROR = "This fails the same way each time. Do not call tools now. Say what went wrong."


class RunEnded(Exception):
    """The guard stopped the run; `subtype` as in the result, `text` is what there is to show."""

    def __init__(self, subtype: str, message: str, text: str = "") -> None:
        super().__init__(message)
        self.subtype = subtype
        self.text = text


@dataclass
class Guard(AbstractCapability[None]):
    """The rules of one run and the record of what happened in it."""

    root: str = ""
    policy: Policy = field(default_factory=lambda: Policy("read-only"))
    emit: Emit = lambda event: None
    max_turns: int = 20
    known: Collection[str] = ()
    meter: Meter = field(default_factory=Meter)

    turns: int = 0
    calls: list[loops.Call] = field(default_factory=list)
    tool_calls: list[ToolCall] = field(default_factory=list)
    denials: list[dict[str, Any]] = field(default_factory=list)
    interventions: list[str] = field(default_factory=list)
    _withdrawn: bool = False
    _rejection: str | None = None
    _seen: set[Path] = field(default_factory=set)

    async def before_model_request(
        self, ctx: RunContext[None], request_context: ModelRequestContext
    ) -> ModelRequestContext:
        if self.turns >= self.max_turns:
            raise RunEnded("turn_limit", f"No answer after {self.max_turns} model turns.")
        self.turns += 1
        return request_context

    async def prepare_tools(
        self, ctx: RunContext[None], tool_defs: list[ToolDefinition]
    ) -> list[ToolDefinition]:
        return [] if self._withdrawn else tool_defs

    async def after_model_request(
        self,
        ctx: RunContext[None],
        *,
        request_context: ModelRequestContext,
        response: ModelResponse,
    ) -> ModelResponse:
        """Turn printed calls into calls, and end runs that cannot go on honestly."""
        problem = self.meter.problem(
            request_context.messages, response.usage.input_tokens, self._withdrawn
        )
        if problem:
            raise RunEnded("context_overflow", problem)
        response = self._with_calls(response)
        text = (response.text or "").strip()
        calls = response.tool_calls
        if not calls:
            self._check_answer(response, text)
        elif response.finish_reason == "length":
            raise RunEnded("truncated", "The model was cut off within a tool call.", text)
        elif self._withdrawn:
            raise RunEnded("looped", "The model went on calling tools after being stopped.", text)
        self._withdrawn = False
        if text:
            self.emit(Message("assistant", text))
        for call in calls:
            if call.tool_name not in self.known:
                self._unknown_tool(call)
        return response

    def _with_calls(self, response: ModelResponse) -> ModelResponse:
        """The response with printed calls promoted and tool names as they are really spelt."""
        calls = response.tool_calls
        if not calls:
            found = rescue.calls_in(response.text or "", self.known)
            if not found:
                return response
            self.interventions.append("rescued_tool_call")
            kept = [part for part in response.parts if not isinstance(part, TextPart)]
            promoted = [ToolCallPart(call.name, call.arguments) for call in found]
            return replace(response, parts=[*kept, *promoted])
        for call in calls:
            call.tool_name = rescue.tool_name(call.tool_name, self.known)
        return response

    def _check_answer(self, response: ModelResponse, text: str) -> None:
        if response.finish_reason == "tool_call":
            raise RunEnded(
                "error",
                "The endpoint announced a tool call and sent none: its parser dropped it.",
                text,
            )
        if not text:
            raise RunEnded("empty", "The model gave an empty answer.")
        if answer.has_call_markup(text) or rescue.is_call(text):
            raise RunEnded(
                "unparsed_tool_call", "The model wrote a tool call that cannot be executed.", text
            )

    def _unknown_tool(self, call: ToolCallPart) -> None:
        arguments = rescue.arguments(call.args) or {}
        names = ", ".join(self.known)
        message = f"There is no tool {call.tool_name!r}. The tools are: {names}."
        self.emit(ToolUse(call.tool_call_id, call.tool_name, arguments))
        self._record(call, arguments, "failed", f"Error: {message}", 0.0)
        self._reject(f"unknown {call.tool_name}", message)

    async def wrap_tool_validate(
        self,
        ctx: RunContext[None],
        *,
        call: ToolCallPart,
        tool_def: ToolDefinition,
        args: str | dict[str, Any],
        handler: Callable[[str | dict[str, Any]], Awaitable[dict[str, Any]]],
    ) -> dict[str, Any]:
        """Answer arguments that do not fit with the one thing that is wrong."""
        given = rescue.arguments(args)
        try:
            if given is None:
                raise ToolFailed(_not_an_object(tool_def))
            validated = await handler(given)
        except (ValidationError, ModelRetry, ToolFailed) as error:
            message = _first_problem(error, tool_def)
        else:
            self._rejection = None
            return validated
        self.emit(ToolUse(call.tool_call_id, call.tool_name, given or {}))
        self._record(call, given or {}, "failed", f"Error: {message}", 0.0)
        self._reject(f"{call.tool_name} {message}", message)
        raise ToolFailed(f"Error: {message}")

    def _reject(self, what: str, message: str) -> None:
        """Two identical rejections in a row end the run."""
        if self._rejection == what:
            self.interventions.append("rejected_twice")
            raise RunEnded("looped", f"The model repeated an invalid tool call. {message}")
        self._rejection = what

    async def wrap_tool_execute(
        self,
        ctx: RunContext[None],
        *,
        call: ToolCallPart,
        tool_def: ToolDefinition,
        args: dict[str, Any],
        handler: Callable[[dict[str, Any]], Awaitable[Any]],
    ) -> str:
        """Execute a call unless it closes a loop or is not permitted; the model sees the result."""
        given = rescue.arguments(call.args) or args
        self.emit(ToolUse(call.tool_call_id, call.tool_name, given))
        begun = time.monotonic()
        outcome: Outcome
        key = loops.call_key(call.tool_name, args, self.root)
        kind = loops.find([*self.calls, loops.predicted(self.calls, key)])
        if kind is not None:
            outcome, text = "skipped", self._hit(kind)
        else:
            blind = self._overwrites_unseen(call.tool_name, args)
            refused = blind or await self.policy.refusal(
                call.tool_name, args, lambda: preview(self.root, call.tool_name, args)
            )
            if blind is not None:
                outcome, text = "failed", f"Error: {blind}"
            elif refused is not None:
                outcome, text = "denied", f"Error: {refused}"
                self.denials.append({"name": call.tool_name, "arguments": given})
            else:
                outcome, text = await _execute(handler, args)
                if outcome == "ok" and "path" in args and call.tool_name in _OURS:
                    self._seen.add(self._file(args))
        self._record(call, given, outcome, text, time.monotonic() - begun)
        if outcome in ("failed", "denied") and loops.find(self.calls):
            text = f"{text}\n{self._hit('errors')}"
        return text

    def _overwrites_unseen(self, name: str, args: dict[str, Any]) -> str | None:
        """Why a file that the model has not seen in this run may not be replaced whole."""
        file = self._file(args)
        if name != "write_file" or file in self._seen or not file.is_relative_to(self.root):
            return None
        try:
            if not file.is_file() or not file.stat().st_size:
                return None
        except OSError:  # the tool will say what is wrong with the path
            return None
        return f"{args['path']} exists. Change a part with edit_file, or read_file it first."

    def _file(self, args: dict[str, Any]) -> Path:
        return Path(os.path.normpath(Path(self.root, str(args.get("path", "")))))

    def _hit(self, kind: str) -> str:
        """The first loop withdraws the tools for a turn; what to tell the model."""
        self.interventions.append(f"loop_{kind}")
        self._withdrawn = True
        return _SAME_ERROR if kind == "errors" else _HAVE_IT

    def _record(
        self, call: ToolCallPart, args: dict[str, Any], outcome: Outcome, text: str, seconds: float
    ) -> None:
        key = loops.call_key(call.tool_name, args, self.root)
        again = loops.repeated(self.calls, key)
        self.tool_calls.append(ToolCall(call.tool_name, args, outcome, again))
        if outcome != "skipped":
            wrote = outcome == "ok" and call.tool_name not in self.policy.reads
            failed = outcome != "ok"
            self.calls.append(loops.Call(key, loops.result_hash(text), wrote, failed))
        self.emit(
            ToolResult(call.tool_call_id, call.tool_name, outcome, text, round(seconds * 1000))
        )


async def _execute(
    handler: Callable[[dict[str, Any]], Awaitable[Any]], args: dict[str, Any]
) -> tuple[Outcome, str]:
    try:
        return "ok", answer.encodable(str(await handler(args)))
    except ToolError as error:
        return "failed", answer.encodable(f"Error: {error}")
    except OSError as error:
        return "failed", f"Error: {error.strerror or error}."


def _first_problem(error: Exception, tool_def: ToolDefinition) -> str:
    if not isinstance(error, ValidationError):
        return str(error)
    problem = error.errors(include_url=False, include_input=False)[0]
    name = ".".join(str(part) for part in problem["loc"])
    schema = tool_def.parameters_json_schema.get("properties", {}).get(name, {})
    kind = schema.get("type", "")
    if problem["type"] in ("missing", "missing_argument"):
        return f"{tool_def.name} needs {name!r} ({kind})."
    if not schema:
        takes = ", ".join(tool_def.parameters_json_schema.get("properties", {}))
        return f"{tool_def.name} takes no {name!r}; it takes {takes}."
    return f"{tool_def.name}: {name!r} must be a {kind}."


def _not_an_object(tool_def: ToolDefinition) -> str:
    properties = tool_def.parameters_json_schema.get("properties", {})
    shape = ", ".join(f'"{name}": {schema.get("type", "")}' for name, schema in properties.items())
    return f"The arguments of {tool_def.name} are not valid JSON; they must be {{{shape}}}."
