"""What the model may call: plain functions whose docstring is all that the model reads of them."""

from agent_tools.change import Change, commit
from agent_tools.edit_file import edit_file
from agent_tools.errors import ToolError, ToolUnavailable
from agent_tools.find_files import find_files
from agent_tools.grep import grep
from agent_tools.php_lint import php_lint
from agent_tools.process import stop_running
from agent_tools.read_file import read_file
from agent_tools.workspace import Workspace
from agent_tools.write_file import write_file

TOOLS = (
    grep,
    find_files,
    read_file,
    write_file,
    edit_file,
    php_lint,
)
WRITES = frozenset({"write_file", "edit_file"})

__all__ = [
    "TOOLS",
    "WRITES",
    "Change",
    "ToolError",
    "ToolUnavailable",
    "Workspace",
    "commit",
    "edit_file",
    "find_files",
    "grep",
    "php_lint",
    "read_file",
    "stop_running",
    "write_file",
]
