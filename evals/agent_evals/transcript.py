"""What a run did, as it is judged: every call with its whole result, and the answer."""

import tempfile
from collections.abc import Collection, Mapping
from dataclasses import asdict, dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

from pydantic import ValidationError
from pydantic_ai import Tool

from agent.events import Event, Result, ToolCall, ToolResult
from agent_tools import TOOLS, Workspace

_CUT = 2_000  # characters of a result or an answer that are kept on disk


@dataclass(frozen=True)
class Call:
    """A call that the model asked for. `valid`: a known tool with arguments of its schema."""

    name: str
    arguments: Mapping[str, Any]
    outcome: str
    result: str
    valid: bool = True

    @property
    def executed(self) -> bool:
        """Whether the tool really ran; it may have ended in an error of its own."""
        return self.valid and self.outcome in ("ok", "failed")


@dataclass(frozen=True)
class Transcript:
    """A whole run. `ended` is the result's subtype, `root` the codebase it ran in."""

    calls: tuple[Call, ...]
    answer: str
    ended: str = "success"
    message: str = ""
    root: str = ""
    turns: int = 1
    seconds: float = 0.0
    usage: Mapping[str, int] = field(default_factory=dict)
    interventions: tuple[str, ...] = ()
    model: Mapping[str, str | None] = field(default_factory=dict)

    def as_row(self) -> dict[str, Any]:
        """As kept on disk: long texts are cut, the codebase's place is left out."""
        row = asdict(self)
        del row["root"]
        for call in row["calls"]:
            call["result"] = _cut(call["result"])
        return {**row, "answer": _cut(self.answer)}


class Recorder:
    """Listens to a run's events; `transcript` puts them together.

    `offered`: the tools that the model was offered; None: all.
    """

    def __init__(self, offered: Collection[str] | None = None) -> None:
        self._offered = offered
        self._results: list[str] = []

    def __call__(self, event: Event) -> None:
        if isinstance(event, ToolResult):
            self._results.append(event.result)

    def transcript(self, result: Result, root: Path) -> Transcript:
        """The transcript of the run that ended with `result`."""
        calls = tuple(
            Call(call.name, call.arguments, call.outcome, text, self._is_valid(call))
            for call, text in zip(result.tool_calls, self._results, strict=True)
        )
        return Transcript(
            calls=calls,
            answer=result.result,
            ended=result.subtype,
            message=result.message,
            root=str(root),
            turns=result.num_turns,
            seconds=result.duration_ms / 1000,
            usage=result.usage,
            interventions=result.interventions,
            model=result.model,
        )

    def _is_valid(self, call: ToolCall) -> bool:
        is_offered = self._offered is None or call.name in self._offered
        return is_offered and is_valid(call.name, call.arguments)


def is_valid(name: str, arguments: Mapping[str, Any]) -> bool:
    """Whether the tool exists and takes these arguments."""
    validator = _validators().get(name)
    if validator is None:
        return False
    try:
        validator.validate_python(dict(arguments))
    except ValidationError:
        return False
    return True


@cache
def _validators() -> dict[str, Any]:
    workspace = Workspace(Path(tempfile.gettempdir()))
    bound = {function.__name__: function.__get__(workspace) for function in TOOLS}
    return {name: Tool(tool).function_schema.validator for name, tool in bound.items()}


def _cut(text: str) -> str:
    return text if len(text) <= _CUT else f"{text[:_CUT]}… [{len(text)} characters]"
