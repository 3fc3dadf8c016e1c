"""What a path that does not exist may have meant."""

from collections.abc import Callable
from contextlib import suppress
from difflib import get_close_matches

from agent_tools import ripgrep
from agent_tools.errors import ToolError
from agent_tools.truncate import joined
from agent_tools.workspace import Workspace

_COMPARED = 5_000


def looked(workspace: Workspace, path: str, look: Callable[[str], str]) -> str:
    """What `look` says of a path or, where nothing is, of the only file whose path ends in it.

    `look` names the file that it looked at, and raises FileNotFoundError.

    Raises:
        ToolError: there is no such file, or more than one.
    """
    with suppress(FileNotFoundError):
        return look(path)
    asked = f"/{path.removeprefix('./')}"
    ending = [file for file in ripgrep.files(workspace) if file.endswith(asked)]
    if len(ending) == 1:
        with suppress(FileNotFoundError):
            return look(ending[0])
    raise missing(workspace, path)


class NothingLike(ToolError):
    """The refusal of a path that is not there, where nothing has a name like it."""

    def __init__(self, path: str) -> None:
        super().__init__(f"{path} does not exist. List files with find_files.")
        self.path = path


def missing(workspace: Workspace, path: str) -> ToolError:
    """The refusal of a path that is not there, naming up to three that are close."""
    close = [joined([file]) for file in _close(path, ripgrep.files(workspace))]
    if not close:
        return NothingLike(path)
    return ToolError(f"{path} does not exist. Did you mean {' or '.join(close)}?")


def _close(path: str, files: list[str]) -> list[str]:
    name = path.rstrip("/").rpartition("/")[2].lower()
    directories = {file[:at] for file in files for at in range(len(file)) if file[at] == "/"}
    known = [*files, *sorted(directories)]
    same = [file for file in known if file.rpartition("/")[2].lower() == name]
    if same:
        return same[:3]
    by_name: dict[str, str] = {}
    for file in known:
        by_name.setdefault(file.rpartition("/")[2].lower(), file)
    names = list(by_name)[:_COMPARED]
    return [by_name[match] for match in get_close_matches(name, names, n=3, cutoff=0.7)]
