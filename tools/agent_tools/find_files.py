"""The find_files tool: ripgrep's listing, filtered by a glob.

A glob that finds nothing is read again in any letter case, and `folder/*` with its subfolders; then
the files that come closest are shown and said to be that.
"""

from agent_tools import globs, nearby, ripgrep
from agent_tools.errors import ToolError
from agent_tools.policy import in_secret_directory
from agent_tools.truncate import counted, fitting, joined, notice
from agent_tools.workspace import Workspace

NOTHING = "No files match."


def find_files(workspace: Workspace, glob: str) -> str:
    """List files whose path matches a glob.

    Args:
        glob: e.g. *.py, src/**/*.ts or a directory.
    """
    if not glob.strip():
        raise ToolError("The glob is empty; give one such as *.py or src/**.")
    wanted = globs.from_root(workspace, glob.strip())
    hidden = ripgrep.names_hidden(wanted)
    listed = [f for f in ripgrep.files(workspace, hidden=hidden) if not in_secret_directory(f)]
    found = _matching(listed, wanted)
    if not found:
        close = nearby.files(wanted, listed)
        return joined([f"{NOTHING} Closest:", *close]) if close else NOTHING
    shown = fitting(found)
    lines = [counted(len(found), "file", "files"), *found[:shown]]
    if shown < len(found):
        lines.append(notice(shown, len(found), "files", "narrow the glob"))
    return joined(lines)


def _matching(files: list[str], glob: str) -> list[str]:
    if glob in (".", "./", ""):
        return files
    directory = glob.rstrip("/")
    if globs.is_literal(glob):
        below = [file for file in files if file.startswith(f"{directory}/")]
        if below:
            return below
    for wording, ignore_case in _readings(directory):
        matches = globs.matcher(wording, ignore_case=ignore_case)
        if found := [file for file in files if matches(file)]:
            return found
    if not globs.is_literal(glob):
        return []
    # Without a slash a name counts at any depth, a directory's too.
    return [file for file in files if "/" not in directory and f"/{directory}/" in f"/{file}"]


def _readings(glob: str) -> list[tuple[str, bool]]:
    """The glob as it stands; where that finds nothing, in any case; then a folder's subfolders."""
    readings = [(glob, False)]
    if not glob.startswith("!"):
        readings.append((glob, True))
        if glob.endswith("/*"):
            readings.append((f"{glob}*", True))
    return readings
