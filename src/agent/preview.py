"""What a write would change, as a diff for the person who is asked."""

import difflib
import json
from collections.abc import Mapping
from pathlib import Path

from agent_tools import WRITES

_LARGEST = 1 << 20


def preview(root: str, tool: str, arguments: Mapping[str, object]) -> str:
    """A unified diff of what `write_file` or `edit_file` is about to do; else the arguments."""
    if tool not in WRITES:
        return json.dumps(arguments, ensure_ascii=False, indent=1, default=str)
    path = str(arguments.get("path", ""))
    if tool == "edit_file":
        before, after = str(arguments.get("old", "")), str(arguments.get("new", ""))
    else:
        before, after = _current(root, path), str(arguments.get("content", ""))
    lines = difflib.unified_diff(
        before.splitlines(), after.splitlines(), f"a/{path}", f"b/{path}", lineterm=""
    )
    return "\n".join(lines)


def _current(root: str, path: str) -> str:
    from agent_tools import Workspace

    try:
        with (
            Workspace(Path(root)).open_file(path) as (descriptor, _),
            open(descriptor, "rb", closefd=False) as file,
        ):
            return file.read(_LARGEST).decode("utf-8", "replace")
    except Exception:  # the tool itself reports what is wrong with the path
        return ""
