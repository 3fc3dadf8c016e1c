"""The one place that decides what a tool call may do.

Policy is code: nothing that a model, a file or a tool result says changes a decision.
"""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from enum import Enum

from agent_tools import WRITES


class Decision(Enum):
    """What happens to a tool call."""

    ALLOW = "allow"
    ASK = "ask"
    DENY = "deny"


def decide(mode: str, tool: str) -> Decision:
    """The decision for a call of `tool` in permission mode `mode` (see `settings.MODES`)."""
    if tool not in WRITES or mode in ("accept-edits", "yolo"):
        return Decision.ALLOW
    return Decision.ASK if mode == "ask" else Decision.DENY


@dataclass(frozen=True)
class Request:
    """A call the user is asked about; `preview` is a diff."""

    tool: str
    arguments: Mapping[str, object]
    preview: str


Asker = Callable[[Request], Awaitable[bool]]


@dataclass(frozen=True)
class Policy:
    """A permission mode and, where somebody can be asked, how to ask."""

    mode: str
    asker: Asker | None = None

    async def refusal(
        self, tool: str, arguments: Mapping[str, object], preview: Callable[[], str]
    ) -> str | None:
        """Why the call is refused, in words for the model, or None if it may run."""
        decision = decide(self.mode, tool)
        if decision is Decision.ALLOW:
            return None
        if decision is Decision.DENY:
            return f"Denied: {tool} is not permitted in {self.mode} mode. Do not try again."
        if self.asker is None:
            return f"Denied: {tool} needs the user's permission and nobody can be asked."
        if await self.asker(Request(tool, arguments, preview())):
            return None
        return f"Denied: the user refused this {tool}. Do not try again."
