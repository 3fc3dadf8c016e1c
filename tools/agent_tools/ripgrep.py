"""The real ripgrep, run in a directory of the workspace."""

import functools
import os
import re
import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from agent_tools.errors import ToolError, ToolUnavailable
from agent_tools.process import Run, running
from agent_tools.workspace import Place, Workspace

DEADLINE_SECONDS = 20.0
_CHUNK = 1 << 20
# Linear-time engine, nobody's configuration, .gitignore also where there is no repository.
_COMMON = (
    "--no-config", "--no-require-git", "--no-ignore-global", "--no-messages", "--color=never",
)  # fmt: skip
_IGNORE_FILES = (".gitignore", ".ignore", ".rgignore", ".git/info/exclude")
# With --null and --heading every file's matches are one block, see blocks.py.
BLOCKS = ("--heading", "--with-filename", "--null", "--line-number", "--byte-offset")


@contextmanager
def search(workspace: Workspace, place: Place, *arguments: str) -> Iterator[Run]:
    """Ripgrep running in the directory of `place`; dead when the block ends, however it ends.

    Raises:
        ToolUnavailable: ripgrep is not installed.
    """
    argv = (binary(), *_COMMON, *arguments)
    cwd = _path_of_directory(workspace, place)
    reads = [str(workspace.root)]
    if _heeds_parents(workspace.root):
        reads += _ignore_files_above(workspace.root)
    with running(argv, cwd=cwd, seconds=DEADLINE_SECONDS, reads=reads) as run:
        yield run


def chunks(run: Run) -> Iterator[bytes]:
    """The output of a run as it comes.

    Raises:
        ToolError: ripgrep did not start or did not accept its arguments; the message is its own.
    """
    output, errors = run.process.stdout, run.process.stderr
    assert output is not None and errors is not None
    while chunk := os.read(output.fileno(), _CHUNK):
        yield chunk
    # With --no-messages unreadable files say nothing; what is left is about the arguments, or
    # comes from a loader that did not find a library.
    if run.process.wait() >= 2 and (message := errors.read().decode(errors="replace").strip()):
        raise ToolError(message)


@functools.cache
def binary() -> str:
    """The ripgrep of this Python environment, else the one on PATH."""
    beside = Path(sys.executable).parent / "rg"
    found = str(beside) if beside.is_file() else shutil.which("rg")
    if found is None:
        raise ToolUnavailable("ripgrep (rg) is not installed; `pip install ripgrep` brings it.")
    return found


def scope(workspace: Workspace, *, hidden: bool = False) -> tuple[str, ...]:
    """The arguments that say which ignore files count and whether hidden files do.

    Ignore files above the root count only inside a Git repository, and not when the root itself
    is ignored there: somebody chose to work in it.
    """
    shown = ("--hidden", "--glob=!.git") if hidden else ()
    return shown if _heeds_parents(workspace.root) else (*shown, "--no-ignore-parent")


@functools.lru_cache(maxsize=64)
def _heeds_parents(root: Path) -> bool:
    if not any((parent / ".git").exists() for parent in root.parents):
        return False
    argv = (binary(), *_COMMON, "--files", "--quiet", "./")
    reads = [str(root), *_ignore_files_above(root)]
    with running(argv, cwd=str(root), seconds=DEADLINE_SECONDS, reads=reads) as run:
        return run.process.wait() == 0


def _ignore_files_above(root: Path) -> list[str]:
    return [str(parent / name) for parent in root.parents for name in _IGNORE_FILES]


def files(workspace: Workspace, directory: str = ".", *, hidden: bool = False) -> list[str]:
    """The files below a directory that no ignore file hides, relative to the root, sorted.

    Raises:
        ToolError: the directory is refused, or there are more files than the deadline allows.
    """
    with workspace.locate(directory) as place:
        arguments = (*scope(workspace, hidden=hidden), "--files", "--null", "--", target(place))
        with search(workspace, place, *arguments) as run:
            listed = os.fsdecode(b"".join(chunks(run)))
    if run.timed_out:
        raise ToolError(f"Listing {directory} took too long; name a directory further down.")
    prefix = parent_of(place)
    found = (prefix + path.removeprefix("./") for path in listed.split("\0") if path)
    return sorted(path for path in found if not workspace.is_closed(path))


def target(place: Place) -> str:
    """The argument that names a place in its own directory."""
    return "./" if place.name == "." else f"./{place.name}"


def parent_of(place: Place) -> str:
    """What stands before the name of a file in the place's open directory, seen from the root."""
    directory = place.relative if place.name == "." else place.relative.rpartition("/")[0]
    return f"{directory}/" if directory not in ("", ".") else ""


def is_hidden(path: str, below: str = "") -> bool:
    """Whether a component begins with a dot, apart from those that `below` names itself."""
    if not path.startswith(".") and "/." not in path:
        return False
    named = below.split("/")
    return any(p.startswith(".") and p not in named for p in path.split("/"))


def names_hidden(path: str) -> bool:
    """Whether a path or glob asks for something hidden by name, such as `.github`."""
    return re.search(r"(?:^|[/{,])\.[^./]", path) is not None


def _path_of_directory(workspace: Workspace, place: Place) -> str:
    # The descriptor cannot be swapped under us, but only Linux lets a child change into one.
    if sys.platform == "linux":
        return f"/proc/self/fd/{place.directory}"
    return str(workspace.root / parent_of(place))
