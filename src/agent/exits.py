"""Every exit code of the command line, in one table.

A run ends with a *subtype* (the word in the JSON result); the subtype decides the exit code.
"""

from enum import IntEnum


class Exit(IntEnum):
    """Process exit codes."""

    OK = 0
    ERROR = 1
    USAGE = 2
    DENIED = 50
    LOOPED = 51
    INCOMPLETE = 52
    TURN_LIMIT = 53
    CONTEXT = 54
    UNAVAILABLE = 77
    INTERRUPTED = 130
    BROKEN_PIPE = 141


MEANING: dict[Exit, str] = {
    Exit.OK: "the question was answered",
    Exit.ERROR: "something failed; the message says what",
    Exit.USAGE: "the command line, a setting or the input is wrong",
    Exit.DENIED: "a tool call was denied by the permission mode or by the user",
    Exit.LOOPED: "the model repeated itself and was stopped",
    Exit.INCOMPLETE: "the answer is cut off, empty, or an unusable tool call",
    Exit.TURN_LIMIT: "no answer within --max-turns",
    Exit.CONTEXT: "the conversation does not fit the model's context window",
    Exit.UNAVAILABLE: "no model answers (endpoint down, unknown model, wrong key)",
    Exit.INTERRUPTED: "interrupted with Ctrl-C",
    Exit.BROKEN_PIPE: "whoever read the output closed it",
}

BY_SUBTYPE: dict[str, Exit] = {
    "success": Exit.OK,
    "error": Exit.ERROR,
    "usage": Exit.USAGE,
    "denied": Exit.DENIED,
    "looped": Exit.LOOPED,
    "truncated": Exit.INCOMPLETE,
    "empty": Exit.INCOMPLETE,
    "unparsed_tool_call": Exit.INCOMPLETE,
    "turn_limit": Exit.TURN_LIMIT,
    "context_overflow": Exit.CONTEXT,
    "unavailable": Exit.UNAVAILABLE,
    "interrupted": Exit.INTERRUPTED,
}


class AgentError(Exception):
    """A problem told to the user in one sentence; `subtype` decides the exit code."""

    def __init__(self, message: str, subtype: str = "error") -> None:
        super().__init__(message)
        self.subtype = subtype


class UsageError(AgentError):
    """The user's input is wrong; the message says what to do instead."""

    def __init__(self, message: str) -> None:
        super().__init__(message, "usage")


def table() -> str:
    """The exit codes as shown by `agent --help`."""
    return "\n".join(f"  {code.value:>3}  {meaning}" for code, meaning in MEANING.items())
