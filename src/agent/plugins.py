"""Tools beyond our six: functions of installed packages, off until the user's settings name them.

A package offers one as an entry point of the group `agent.tools`:

    [project.entry-points."agent.tools"]
    word_count = "my_package:word_count"

Signature and docstring are the schema. A first parameter named `workspace` gets the codebase
(`agent_tools.Workspace`); `agent_tools.ToolError` says what the model should read. A function with
the attribute `read_only = True` runs unasked, every other one is asked for.
"""

import functools
import inspect
import json
import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.metadata import EntryPoint, entry_points
from typing import TYPE_CHECKING, Any

from agent.exits import UsageError
from agent_tools import TOOLS, ToolError, Workspace
from agent_tools.truncate import limited

if TYPE_CHECKING:
    from pydantic_ai import Tool

GROUP = "agent.tools"
NAME = re.compile(r"[A-Za-z0-9_-]{1,64}")


@dataclass(frozen=True)
class UserTool:
    """A function that the user's settings name as a tool."""

    name: str
    function: Callable[..., Any]
    read_only: bool


def load(names: Sequence[str]) -> list[UserTool]:
    """The user tools of these names.

    Raises:
        UsageError: a name is offered by no package, by two, or by one that cannot be loaded.
    """
    return [_load(name) for name in dict.fromkeys(names)]


def offered() -> list[str]:
    """The names of all user tools that installed packages offer."""
    return sorted({point.name for point in entry_points(group=GROUP)})


def _load(name: str) -> UserTool:
    found = list(entry_points(group=GROUP, name=name))
    if not found:
        known = ", ".join(offered()) or "none"
        raise UsageError(
            f"extra_tools: no installed package offers a tool {name!r}; offered are: {known}."
        )
    if len(found) > 1:
        packages = " and ".join(_package(point) for point in found)
        raise UsageError(f"extra_tools: {packages} both offer {name!r}; uninstall one of them.")
    point = found[0]
    if not NAME.fullmatch(name) or name in [tool.__name__ for tool in TOOLS]:
        raise UsageError(f"extra_tools: {_package(point)} may not call a tool {name!r}.")
    try:
        function = point.load()
    except Exception as error:
        raise _unusable(point, f"{type(error).__name__}: {error}") from error
    if not inspect.isfunction(function):
        raise _unusable(point, "it is no function")
    if not inspect.getdoc(function):
        raise _unusable(point, "it has no docstring to tell the model what it does")
    return UserTool(name, function, getattr(function, "read_only", False) is True)


def _package(point: EntryPoint) -> str:
    return point.dist.name if point.dist else point.value


def _unusable(point: EntryPoint, reason: str) -> UsageError:
    short = " ".join(reason.split())
    return UsageError(
        f"extra_tools: {point.name!r} of {_package(point)} cannot be loaded ({short}); "
        "mend it or take it out of extra_tools."
    )


def as_tool(tool: UserTool, workspace: Workspace) -> "Tool[None]":
    """The tool as PydanticAI offers it to the model.

    Raises:
        UsageError: its signature has no schema.
    """
    from pydantic.errors import PydanticUserError
    from pydantic_ai import Tool
    from pydantic_ai.exceptions import UserError

    function = _told(tool)
    parameters = list(inspect.signature(tool.function).parameters)
    if parameters[:1] == ["workspace"]:
        function = function.__get__(workspace)
    try:
        return Tool(function, name=tool.name, takes_ctx=False, sequential=True)
    except (PydanticUserError, UserError, NameError, TypeError) as error:
        reason = str(error).splitlines()[0]
        raise UsageError(f"extra_tools: the parameters of {tool.name!r}: {reason}") from error


def _told(tool: UserTool) -> Any:
    """The function with a text as its result, and with its failures told to the model."""
    if inspect.iscoroutinefunction(tool.function):

        @functools.wraps(tool.function)
        async def awaited(*args: Any, **kwargs: Any) -> str:
            with _telling(tool.name):
                return as_text(await tool.function(*args, **kwargs))

        return awaited

    @functools.wraps(tool.function)
    def called(*args: Any, **kwargs: Any) -> str:
        with _telling(tool.name):
            return as_text(tool.function(*args, **kwargs))

    return called


@contextmanager
def _telling(name: str) -> Iterator[None]:
    try:
        yield
    except ToolError:
        raise
    except Exception as error:
        raise ToolError(
            f"{name} failed with {type(error).__name__}: {limited(str(error))}"
        ) from error


def as_text(value: object) -> str:
    """A result of somebody else's tool as the model reads it: text or JSON, cut like any result."""
    if isinstance(value, list | tuple) and all(isinstance(v, str) or _media(v) for v in value):
        text = "\n".join(v if isinstance(v, str) else _media(v) for v in value)
    elif isinstance(value, str):
        text = value
    else:
        text = _media(value) or json.dumps(value, ensure_ascii=False, default=_other, indent=1)
    return limited(text) or "(no output)"


def _media(value: object) -> str:
    """What stands for a picture or a sound; empty for anything else."""
    kind, data = getattr(value, "media_type", None), getattr(value, "data", None)
    return f"[{kind}, {len(data)} bytes, not shown]" if isinstance(data, bytes) else ""


def _other(value: object) -> str:
    return _media(value) or str(value)
