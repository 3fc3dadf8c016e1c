"""Calling tools the way the agent does: an error is a text too."""

from collections.abc import Callable
from pathlib import Path

from agent_tools import ToolError


def told(tool: Callable[..., str], *arguments: object, **named: object) -> str:
    """The result, or `Error: ...` as the model would read it."""
    try:
        return tool(*arguments, **named)
    except ToolError as error:
        return f"Error: {error}"


def everything_below(root: Path) -> dict[str, bytes]:
    return {str(p.relative_to(root)): p.read_bytes() for p in root.rglob("*") if p.is_file()}
