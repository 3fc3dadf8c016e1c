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
    """What `look` says of a path or, where nothing is, of the only one that ends in it.

    Where none does, letter case and a file's suffix are left aside: `cart` may be `app/Cart.php`.
    `look` names what it looked at, and raises FileNotFoundError.

    Raises:
        ToolError: there is no such file or folder, or more than one.
    """
    with suppress(FileNotFoundError):
        return look(path)
    files = ripgrep.files(workspace)
    asked = f"/{path.removeprefix('./').rstrip('/')}"
    meant = _ending_in(asked, files) or _ending_in(asked, sorted(_directories(files)))
    if len(meant) == 1:
        with suppress(FileNotFoundError):
            return look(meant[0])
    raise _missing(path, files)


def _ending_in(asked: str, paths: list[str]) -> list[str]:
    exactly = [path for path in paths if path.endswith(asked)]
    return exactly or [path for path in paths if _is_alike(f"/{path}".lower(), asked.lower())]


def _is_alike(path: str, asked: str) -> bool:
    return path.endswith(asked) or path.rpartition(".")[0].endswith(asked)


def _directories(files: list[str]) -> set[str]:
    return {file[:at] for file in files for at in range(len(file)) if file[at] == "/"}


class NothingLike(ToolError):
    """The refusal of a path that is not there, where nothing has a name like it."""

    def __init__(self, path: str) -> None:
        super().__init__(f"{path} does not exist. List files with find_files.")
        self.path = path


def missing(workspace: Workspace, path: str) -> ToolError:
    """The refusal of a path that is not there, naming up to three that are close."""
    return _missing(path, ripgrep.files(workspace))


def _missing(path: str, files: list[str]) -> ToolError:
    close = [joined([file]) for file in _close(path, files)]
    if not close:
        return NothingLike(path)
    return ToolError(f"{path} does not exist. Did you mean {' or '.join(close)}?")


def _close(path: str, files: list[str]) -> list[str]:
    name = path.rstrip("/").rpartition("/")[2].lower()
    known = [*files, *sorted(_directories(files))]
    same = [file for file in known if file.rpartition("/")[2].lower() == name]
    if same:
        return same[:3]
    by_name: dict[str, str] = {}
    for file in known:
        by_name.setdefault(file.rpartition("/")[2].lower(), file)
    names = list(by_name)[:_COMPARED]
    return [by_name[match] for match in get_close_matches(name, names, n=3, cutoff=0.7)]
