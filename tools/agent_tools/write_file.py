"""The write_file tool: a whole file, new or replaced."""

from agent_tools import text
from agent_tools.change import Change, commit, current
from agent_tools.errors import ToolError
from agent_tools.truncate import counted
from agent_tools.workspace import Workspace


def write_file(workspace: Workspace, path: str, content: str) -> str:
    """Create a file or replace its whole content.

    Args:
        path: File to write.
        content: The whole new content.
    """
    change = plan(workspace, path, content)
    commit(workspace, change)
    lines = counted(text.line_count(content), "line", "lines")
    if change.old is None:
        return f"Created {change.path} ({lines})."
    before = text.decode(change.old)
    was = f", was {text.line_count(before[0])}" if before else ""
    return f"Replaced {change.path} ({lines}{was})."


def plan(workspace: Workspace, path: str, content: str) -> Change:
    """What write_file would do.

    Raises:
        ToolError: writing there is refused, or the content does not fit the file's encoding.
    """
    relative, old = current(workspace, path)
    if old is None:
        return Change(relative, None, _encoded(content, text.Encoding("utf-8")))
    decoded = text.decode(old)
    if decoded is None:
        raise ToolError(f"{relative} is a binary file; write_file replaces only text.")
    before, encoding = decoded
    if "\r" not in content and text.newline_of(before) == "\r\n":
        content = content.replace("\n", "\r\n")
    return Change(relative, old, _encoded(content, encoding))


def _encoded(content: str, encoding: text.Encoding) -> bytes:
    return encoding.encode(content.removeprefix("\ufeff") if encoding.mark else content)
