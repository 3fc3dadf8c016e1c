"""What a run tells whoever listens: terminal, JSON stream, and later journal and REPL."""

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, ClassVar, Literal

Outcome = Literal["ok", "failed", "denied", "skipped"]


@dataclass(frozen=True)
class Event:
    """Something that happened; `kind` is its name in the JSON stream."""

    kind: ClassVar[str]

    def as_json(self) -> dict[str, Any]:
        """The event as one JSON object."""
        return {"type": self.kind, **asdict(self)}


@dataclass(frozen=True)
class Init(Event):
    """A run begins."""

    kind = "init"
    session_id: str
    model: str
    directory: str
    tools: tuple[str, ...]
    permission_mode: str


@dataclass(frozen=True)
class Delta(Event):
    """A piece of text as it is written; it may turn out to be no answer."""

    kind = "delta"
    text: str


@dataclass(frozen=True)
class Message(Event):
    """A whole text of the model: what it says before a call, or its answer."""

    kind = "message"
    role: str
    text: str


@dataclass(frozen=True)
class ToolUse(Event):
    """A tool call, before it is executed."""

    kind = "tool_use"
    id: str
    name: str
    arguments: Mapping[str, Any]


@dataclass(frozen=True)
class ToolResult(Event):
    """What a tool call came to."""

    kind = "tool_result"
    id: str
    name: str
    outcome: Outcome
    result: str
    duration_ms: int


@dataclass(frozen=True)
class Problem(Event):
    """Something the user should know; `subtype` is that of the result."""

    kind = "error"
    subtype: str
    message: str


@dataclass(frozen=True)
class Notice(Event):
    """Something done on the user's behalf that they should see; no error. `topic` names what."""

    kind = "notice"
    topic: str
    message: str
    details: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class ToolCall:
    """A tool call in the result. `repeated`: an earlier call of the run had already told."""

    name: str
    arguments: Mapping[str, Any]
    outcome: Outcome
    repeated: bool


@dataclass(frozen=True)
class Result(Event):
    """How a run ended; as JSON it is the result object of `agent ask --output-format json`."""

    kind = "result"
    subtype: str
    result: str
    session_id: str
    num_turns: int = 0
    duration_ms: int = 0
    usage: Mapping[str, int] = field(default_factory=dict)
    model: Mapping[str, str | None] = field(default_factory=dict)
    tool_calls: tuple[ToolCall, ...] = ()
    permission_denials: tuple[Mapping[str, Any], ...] = ()
    # For people, not part of the JSON: why it is no success, and what the guard did.
    message: str = ""
    interventions: tuple[str, ...] = ()

    @property
    def is_error(self) -> bool:
        """Whether the run did not end with a complete answer and everything permitted."""
        return self.subtype != "success"

    def as_json(self) -> dict[str, Any]:
        """Exactly the documented keys, in their documented order."""
        return {
            "type": self.kind,
            "subtype": self.subtype,
            "is_error": self.is_error,
            "result": self.result,
            "session_id": self.session_id,
            "num_turns": self.num_turns,
            "duration_ms": self.duration_ms,
            "usage": dict(self.usage),
            "model": dict(self.model),
            "tool_calls": [asdict(call) for call in self.tool_calls],
            "permission_denials": [dict(denial) for denial in self.permission_denials],
        }


Emit = Callable[[Event], None]


def both(first: Emit, second: Emit) -> Emit:
    """A listener that passes every event to two others, in order."""

    def emit(event: Event) -> None:
        first(event)
        second(event)

    return emit
