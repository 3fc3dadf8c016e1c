"""Running the real ripgrep on a directory of the workspace: found once, bounded, never left behind."""

import functools
import os
import re
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from agent_tools.errors import ToolError, ToolUnavailable
from agent_tools.workspace import Place, Workspace

DEADLINE_SECONDS = 20.0
_CHUNK = 1 << 20
# Linear-time engine, nobody's configuration, .gitignore also where there is no repository.
_COMMON = (
    "--no-config",
    "--no-require-git",
    "--no-ignore-global",
    "--no-messages",
    "--color=never",
)
_running: set["subprocess.Popen[bytes]"] = set()


class Search:
    """One run of ripgrep: its output in chunks, and whether it ran to the end."""

    def __init__(self, process: "subprocess.Popen[bytes]") -> None:
        self._process = process
        self.timed_out = False

    def expire(self) -> None:
        """End the run at its deadline."""
        self.timed_out = True
        self._process.kill()

    def chunks(self) -> Iterator[bytes]:
        """The output as it comes.

        Raises:
            ToolError: ripgrep did not accept the pattern or a glob.
        """
        output = self._process.stdout
        assert output is not None
        descriptor = output.fileno()
        while chunk := os.read(descriptor, _CHUNK):
            yield chunk
        if self._process.wait() == 2 and not self.timed_out:
            errors = self._process.stderr
            assert errors is not None
            message = errors.read().decode(errors="replace").strip()
            if message:
                raise ToolError(message)


@contextmanager
def search(workspace: Workspace, place: Place, *arguments: str) -> Iterator[Search]:
    """Run ripgrep in the directory of `place`; it is dead when the block ends, however it ends.

    Raises:
        ToolUnavailable: ripgrep is not installed.
    """
    process = subprocess.Popen(
        (binary(), *_COMMON, *arguments),
        cwd=_path_of_directory(workspace, place),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env={"LC_ALL": "C.UTF-8"},
    )
    _running.add(process)
    run = Search(process)
    timer = threading.Timer(DEADLINE_SECONDS, run.expire)
    timer.daemon = True
    timer.start()
    try:
        yield run
    finally:
        timer.cancel()
        process.kill()
        process.communicate()
        _running.discard(process)


def stop_running() -> None:
    """End every ripgrep of this process, for a caller that was interrupted."""
    for process in tuple(_running):
        process.kill()


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
    probe = subprocess.run(
        (binary(), *_COMMON, "--files", "--quiet", "./"), cwd=root, capture_output=True, check=False
    )
    return probe.returncode == 0


def files(workspace: Workspace, directory: str = ".", *, hidden: bool = False) -> list[str]:
    """The files below a directory that no ignore file hides, relative to the root, sorted.

    Raises:
        ToolError: the directory is refused, or there are more files than the deadline allows.
        FileNotFoundError: it does not exist.
    """
    with workspace.locate(directory) as place:
        below = os.curdir if place.name == "." else place.name
        arguments = (*scope(workspace, hidden=hidden), "--files", "--null", "--", f"./{below}")
        with search(workspace, place, *arguments) as run:
            listed = b"".join(run.chunks()).decode(errors="surrogateescape")
    if run.timed_out:
        raise ToolError(f"Listing {directory} took too long; name a directory further down.")
    prefix = parent_of(place)
    paths = (prefix + path[2:].removeprefix("./") for path in listed.split("\0") if path)
    return sorted(path for path in paths if hidden or not is_hidden(path, below=directory))


def parent_of(place: Place) -> str:
    """What to put before a path relative to the place's open directory, to have it from the root."""
    if place.relative == ".":
        return ""
    if place.name == ".":
        return f"{place.relative}/"
    parent = place.relative.rpartition("/")[0]
    return f"{parent}/" if parent else ""


def is_hidden(path: str, below: str = "") -> bool:
    """Whether a component begins with a dot, apart from those that `below` names itself."""
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
