"""The one place that decides what a tool call may do.

Policy is code: nothing that a model, a file or a tool result says changes a decision.
"""

from collections.abc import Awaitable, Callable, Collection, Mapping
from dataclasses import dataclass
from enum import Enum

from agent_tools import TOOLS, WRITES

# What only looks. Every tool that is neither here nor declared so by its author may do anything.
READS = frozenset(tool.__name__ for tool in TOOLS) - WRITES


class Decision(Enum):
    """What happens to a tool call."""

    ALLOW = "allow"
    ASK = "ask"
    DENY = "deny"


def decide(mode: str, tool: str, reads: Collection[str] = READS) -> Decision:
    """The decision for a call of `tool` in permission mode `mode` (see `settings.MODES`)."""
    if tool in reads or mode == "yolo" or (mode == "accept-edits" and tool in WRITES):
        return Decision.ALLOW
    return Decision.DENY if mode == "read-only" else Decision.ASK


@dataclass(frozen=True)
class Request:
    """A call the user is asked about; `preview` is a diff."""

    tool: str
    arguments: Mapping[str, object]
    preview: str


Asker = Callable[[Request], Awaitable[bool]]


@dataclass(frozen=True)
class Policy:
    """A permission mode and, where somebody can be asked, how to ask; `reads` are harmless tools."""

    mode: str
    asker: Asker | None = None
    reads: Collection[str] = READS

    async def refusal(
        self, tool: str, arguments: Mapping[str, object], preview: Callable[[], str]
    ) -> str | None:
        """Why the call is refused, in words for the model, or None if it may run."""
        decision = decide(self.mode, tool, self.reads)
        if decision is Decision.ALLOW:
            return None
        if decision is Decision.DENY:
            return f"Denied: {tool} is not permitted in {self.mode} mode. Do not try again."
        if self.asker is None:
            return f"Denied: {tool} needs the user's permission and nobody can be asked."
        if await self.asker(Request(tool, arguments, preview())):
            return None
        return f"Denied: the user refused this {tool}. Do not try again."
