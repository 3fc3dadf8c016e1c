"""What a write would change, as a diff for the person who is asked."""

import difflib
import json
from collections.abc import Mapping
from pathlib import Path

from agent_tools import WRITES, ToolError, Workspace


def preview(root: str, tool: str, arguments: Mapping[str, object]) -> str:
    """A unified diff of what `write_file` or `edit_file` is about to do; else the arguments."""
    if tool not in WRITES:
        return json.dumps(arguments, ensure_ascii=False, indent=1, default=str)
    path, before, after = planned(Workspace(Path(root)), tool, arguments) or _asked_for(arguments)
    # A name with a line break in it cannot pass for another part of the diff.
    name = " ".join(path.splitlines())
    lines = difflib.unified_diff(
        (before or "").splitlines(), after.splitlines(), f"a/{name}", f"b/{name}", lineterm=""
    )
    return "\n".join(lines)


def _asked_for(arguments: Mapping[str, object]) -> tuple[str, str, str]:
    """What a write that the tool will refuse is about."""
    before, after = arguments.get("old", ""), arguments.get("new", arguments.get("content", ""))
    return str(arguments.get("path", "")), str(before), str(after)


def planned(
    workspace: Workspace, tool: str, arguments: Mapping[str, object]
) -> tuple[str, str | None, str] | None:
    """(real path, whole text before, whole text after) of a write that would succeed, else None."""
    from agent_tools.edit_file import plan as plan_edit
    from agent_tools.text import decode
    from agent_tools.write_file import plan as plan_write

    path, content, old, new = (arguments.get(key) for key in ("path", "content", "old", "new"))
    try:
        if tool == "write_file" and isinstance(path, str) and isinstance(content, str):
            change = plan_write(workspace, path, content)
        elif tool == "edit_file" and all(isinstance(text, str) for text in (path, old, new)):
            change, _ = plan_edit(workspace, str(path), str(old), str(new))
        else:
            return None
    except (ToolError, OSError):
        return None
    before, after = (data and decode(data) for data in (change.old, change.new))
    return change.path, before[0] if before else None, after[0] if after else ""
