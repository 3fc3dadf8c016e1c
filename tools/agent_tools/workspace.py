"""Every path that a tool touches is resolved here, and nowhere else.

A path is walked one component at a time on directory descriptors, never following a link that the
kernel would follow for us: a link's text is put in front of what is still to walk. So the walk
knows the real place it ends in, `..` can only go back along it, and swapping a directory for a
link meanwhile makes the walk fail instead of leave. It needs nothing but `openat` and `O_NOFOLLOW`,
which Linux and macOS share; openat2(RESOLVE_BENEATH) would be a second way that cannot say where a
path really led, which the rules on secrets and protected names need.
"""

import errno
import os
import stat
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from agent_tools.errors import ToolError
from agent_tools.hardlinks import SecretFiles
from agent_tools.policy import NEVER_WRITTEN, folded, is_never_written, is_secret, own_places

if TYPE_CHECKING:
    from agent_tools.change import Change

_MAX_LINKS = 40
_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
# O_NONBLOCK: opening a FIFO must not wait for a writer.
_FILE = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC


@dataclass(frozen=True)
class Place:
    """Where a path leads: an open directory, and a name in it that was no link when looked at.

    `name` is `.` when the path is the directory itself. `relative` is the real path from the root,
    `/`-separated, `.` for the root. With `adrift`, directories on the way are missing and
    `directory` is the last one that is there.
    """

    directory: int
    name: str
    relative: str
    adrift: bool = False

    def status(self) -> os.stat_result:
        """The status of what is there.

        Raises:
            FileNotFoundError: nothing is there.
        """
        self._check()
        return os.stat(self.name, dir_fd=self.directory, follow_symlinks=False)

    def open(self) -> int:
        """A descriptor of the regular file that is there, for reading.

        Raises:
            FileNotFoundError: nothing is there.
            ToolError: it is no regular file, or may not be read.
        """
        self._check()
        try:
            descriptor = os.open(self.name, _FILE, dir_fd=self.directory)
        except FileNotFoundError:
            raise
        except OSError as error:
            raise _explained(error, self.relative) from None
        mode = os.fstat(descriptor).st_mode
        if stat.S_ISREG(mode):
            return descriptor
        os.close(descriptor)
        if stat.S_ISDIR(mode):
            raise ToolError(f"{self.relative} is a directory; list it with find_files.")
        raise ToolError(f"{self.relative} is {kind(mode)}, not a file.")

    def _check(self) -> None:
        if self.adrift:
            raise FileNotFoundError(self.relative)


class Workspace:
    """A directory tree that tools may work in, and its rules.

    `around_commit` is entered before a change of a file is made and left after it. What it raises
    before keeps the change from being made.
    """

    def __init__(self, root: Path) -> None:
        """Raises NotADirectoryError when `root` is no directory."""
        self.root = root.resolve()
        if not self.root.is_dir():
            raise NotADirectoryError(f"{root} is not a directory.")
        self.around_commit: Callable[[Change], AbstractContextManager[None]] = lambda change: (
            nullcontext()
        )
        self._secret_files = SecretFiles(self.root)
        self._spellings = {self.root.parts, Path(os.path.abspath(root)).parts}  # noqa: PTH100
        self._own = [own for place in own_places() if (own := self._own_below_root(place))]

    def restricted(self, closed: Callable[[str], bool]) -> "Workspace":
        """The same workspace for a tool to which the user closed some real relative paths."""
        return _Restricted(self, closed)

    def is_closed(self, path: str) -> bool:
        """Whether the user's rules close a `/`-separated path to the tool that asks."""
        return False

    def is_own(self, path: str) -> bool:
        """Whether a path is, or lies in, the assistant's own folders, be they there or not."""
        below = f"{folded(path)}/"
        return any(own == "/" or below.startswith(own) for own in self._own)

    @contextmanager
    def locate(self, path: str, *, writing: bool = False, parents: bool = False) -> Iterator[Place]:
        """Walk to a path, which may be missing; with `parents`, directories on the way are made.

        Raises:
            ToolError: the path leaves the root or is denied.
        """
        walk = _Walk(self, path, writing=writing, parents=parents)
        try:
            yield walk.run()
        finally:
            walk.close()

    @contextmanager
    def open_file(self, path: str) -> Iterator[tuple[int, str]]:
        """A regular file open for reading, as (descriptor, real relative path).

        Raises:
            FileNotFoundError: nothing is there.
            ToolError: it is no regular file, or may not be read.
        """
        with self.locate(path) as place, self.opened(place) as descriptor:
            yield descriptor, place.relative

    @contextmanager
    def opened(self, place: Place) -> Iterator[int]:
        """A descriptor of the regular file at a place; raises as `open_file` does."""
        descriptor = place.open()
        try:
            if self._secret_files.has(os.fstat(descriptor)):
                raise secret(place.relative)
            yield descriptor
        finally:
            os.close(descriptor)

    def parts(self, path: str) -> list[str]:
        """The components of a path as the model wrote it, relative to the root."""
        if not path or "\0" in path:
            raise ToolError("The path is empty; give one." if not path else "A path has no NUL.")
        try:
            os.fsencode(path)
        except UnicodeEncodeError:
            raise ToolError("The path is not valid text.") from None
        if not path.startswith("/"):
            return path.split("/")
        inside = self._below_root(Path(path).parts)
        if inside is None:
            inside = self._below_root(Path(os.path.realpath(path)).parts)
        if inside is None:
            raise outside(path)
        return inside

    def _own_below_root(self, place: Path) -> str | None:
        """An own folder as folded relative path with a slash; `/`: the root itself is in one."""
        if self.root.is_relative_to(place):
            return "/"
        if not place.is_relative_to(self.root):
            return None
        return f"{folded(place.relative_to(self.root).as_posix())}/"

    def _below_root(self, parts: tuple[str, ...]) -> list[str] | None:
        for root in self._spellings:
            if parts[: len(root)] == root:
                return list(parts[len(root) :])
        return None


class _Restricted(Workspace):
    """A view: all but the closed paths is the workspace's own, and stays it."""

    def __init__(self, whole: Workspace, closed: Callable[[str], bool]) -> None:
        self._whole, self._closed = whole, closed

    def __getattr__(self, name: str) -> Any:
        return getattr(self._whole, name)

    def is_closed(self, path: str) -> bool:
        return self._closed(path)


class _Walk:
    def __init__(self, workspace: Workspace, path: str, *, writing: bool, parents: bool) -> None:
        self.workspace, self.path = workspace, path
        self.writing, self.parents = writing, parents
        self.pending = workspace.parts(path)[::-1]
        self.names: list[str] = []
        # directories[i] is names[:i]; the last name may be no directory, or missing.
        self.directories = [os.open(workspace.root, _DIRECTORY)]
        self.links = 0
        self.adrift = False

    def close(self) -> None:
        for descriptor in self.directories:
            os.close(descriptor)

    def run(self) -> Place:
        while self.pending:
            part = self.pending.pop()
            if part in ("", "."):
                continue
            if part == "..":
                self._back()
            else:
                self._forward(part)
        if self.writing:
            self._refuse_protected_by_identity()
        if self.adrift:
            return Place(self.directories[-1], self.names[-1], "/".join(self.names), adrift=True)
        is_directory = len(self.directories) > len(self.names)
        name = "." if is_directory else self.names[-1]
        return Place(self.directories[-1], name, "/".join(self.names) or ".")

    def _back(self) -> None:
        if not self.names:
            raise outside(self.path)
        if self.adrift:
            raise ToolError(f"{self.path} goes back from a directory that does not exist.")
        self.names.pop()
        os.close(self.directories.pop())

    def _forward(self, part: str) -> None:
        here = self.directories[-1]
        relative = "/".join([*self.names, part])
        # Links are judged by their own name too: `.git` may be one.
        self._judge(relative)
        on_the_way = any(p not in ("", ".") for p in self.pending)
        if self.adrift or (on_the_way and self._enter(part, here)):
            self.names.append(part)
            return
        try:
            target = os.readlink(part, dir_fd=here)
        except OSError as error:
            if on_the_way or error.errno not in (errno.EINVAL, errno.ENOENT):
                raise _explained(error, self.path) from None
            self.names.append(part)
        else:
            self._follow(target)

    def _judge(self, relative: str) -> None:
        if self.writing and is_never_written(relative):
            raise _never_written(relative)
        if is_secret(relative):
            raise secret(relative)
        if self.workspace.is_own(relative):
            raise ToolError(f"{relative} is the assistant's own; no tool may open it.")
        if self.workspace.is_closed(relative):
            raise ToolError(f"{relative} is closed to this tool by the user's rules.")

    def _follow(self, target: str) -> None:
        self.links += 1
        if self.links > _MAX_LINKS:
            raise ToolError(f"{self.path} goes round in a circle of links.")
        if target.startswith("/"):
            try:
                inside = self.workspace.parts(target)
            except ToolError:
                raise outside(self.path) from None
            while self.names:
                self._back()
            self.pending += inside[::-1]
        else:
            self.pending += target.split("/")[::-1]

    def _enter(self, part: str, here: int) -> bool:
        """Go down, or be adrift where nothing is; False when something else is there."""
        try:
            self.directories.append(os.open(part, _DIRECTORY, dir_fd=here))
        except FileNotFoundError:
            if self.parents:
                self._make(part, here)
            else:
                self.adrift = True
        except OSError as error:
            if error.errno in (errno.ELOOP, errno.ENOTDIR):
                return False
            raise _explained(error, self.path) from None
        return True

    def _make(self, part: str, here: int) -> None:
        try:
            with suppress(FileExistsError):
                os.mkdir(part, dir_fd=here)
            self.directories.append(os.open(part, _DIRECTORY, dir_fd=here))
        except OSError as error:
            raise _explained(error, self.path) from None

    def _refuse_protected_by_identity(self) -> None:
        """What `.git` or our configuration links to is as protected as the link."""
        walked = {_identity(os.fstat(d)) for d in self.directories}
        if len(self.directories) == len(self.names) and not self.adrift:
            with suppress(FileNotFoundError):
                last = os.stat(self.names[-1], dir_fd=self.directories[-1], follow_symlinks=False)
                walked.add(_identity(last))
        for name in NEVER_WRITTEN:
            try:
                protected = os.stat(name, dir_fd=self.directories[0])
            except OSError:
                continue
            if _identity(protected) in walked:
                raise _never_written("/".join(self.names))


def _identity(status: os.stat_result) -> tuple[int, int]:
    return status.st_dev, status.st_ino


def kind(mode: int) -> str:
    """What a file mode is, in words."""
    names = {
        stat.S_IFDIR: "a directory",
        stat.S_IFREG: "a file",
        stat.S_IFIFO: "a named pipe",
        stat.S_IFSOCK: "a socket",
        stat.S_IFCHR: "a device",
        stat.S_IFBLK: "a device",
    }
    return names.get(stat.S_IFMT(mode), "a special file")


def outside(path: str) -> ToolError:
    """The refusal of a path that leaves the root."""
    return ToolError(f"{path} is outside the workspace; use a path relative to its root.")


def secret(relative: str) -> ToolError:
    """The refusal of a file that may hold secrets."""
    return ToolError(f"{relative} may hold secrets, so no tool may open it.")


def _never_written(relative: str) -> ToolError:
    return ToolError(f"{relative} is protected; no tool may write there.")


def _explained(error: OSError, path: str) -> ToolError:
    reasons = {
        errno.ELOOP: "changed while it was opened; try again",
        errno.ENOTDIR: "goes through something that is no directory",
        errno.EINVAL: "goes through something that is no directory",
        errno.EACCES: "may not be accessed: permission denied",
        errno.EPERM: "may not be accessed: permission denied",
        errno.ENAMETOOLONG: "is too long a name",
        errno.ENXIO: "is a socket or device, not a file",
    }
    reason = reasons.get(error.errno or 0, f"cannot be opened: {os.strerror(error.errno or 0)}")
    return ToolError(f"{path} {reason}.")
