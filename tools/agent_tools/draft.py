"""New content of a file, written beside its target and put in its place in one step.

Linux can hold it without a name until it is whole, so a process that is killed leaves nothing.
Elsewhere it has a temporary name with the writer's process id, and the next writer in the directory
removes those whose writer is gone.
"""

import errno
import os
import re
import secrets
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from agent_tools.workspace import Place

_TEMPORARY = re.compile(r"\.(\d+)-[0-9a-f]{16}\.agent-tmp")
# No nameless files here: the file system or, without the flag, the system has none.
_NO_NAMELESS = (errno.EOPNOTSUPP, errno.EISDIR, errno.EINVAL, errno.ENOENT)
_NAMED = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
_NAMELESS = getattr(os, "O_TMPFILE", 0)


class Draft:
    """A file in the directory of `place` that has no name yet, or a temporary one."""

    def __init__(self, place: Place) -> None:
        self._place = place
        self._name: str | None = None
        self.descriptor = self._nameless()
        if self.descriptor < 0:
            name = _temporary_name()
            self.descriptor = os.open(name, _NAMED, 0o666, dir_fd=place.directory)
            self._name = name

    def _nameless(self) -> int:
        if not _NAMELESS or not Path("/proc/self/fd").is_dir():
            return -1
        flags = _NAMELESS | os.O_WRONLY | os.O_CLOEXEC
        try:
            return os.open(".", flags, 0o666, dir_fd=self._place.directory)
        except OSError as error:
            if error.errno not in _NO_NAMELESS:
                raise
            return -1

    def write(self, content: bytes) -> None:
        """Write the content, all of it."""
        rest = memoryview(content)
        while rest:
            rest = rest[os.write(self.descriptor, rest) :]

    def publish(self, *, replacing: bool) -> None:
        """Give the draft the target's name.

        Raises:
            FileExistsError: something has that name by now, and is not to be replaced.
        """
        target, directory = self._place.name, self._place.directory
        if not replacing:
            self._link(target)
            return
        if self._name is None:
            name = _temporary_name()
            self._link(name)
            self._name = name
        os.rename(self._name, target, src_dir_fd=directory, dst_dir_fd=directory)
        self._name = None

    def _link(self, name: str) -> None:
        directory = self._place.directory
        if self._name is None:
            os.link(f"/proc/self/fd/{self.descriptor}", name, dst_dir_fd=directory)
        else:
            os.link(self._name, name, src_dir_fd=directory, dst_dir_fd=directory)

    def close(self) -> None:
        """Remove what is left of it."""
        os.close(self.descriptor)
        if self._name is not None:
            with suppress(FileNotFoundError):
                os.unlink(self._name, dir_fd=self._place.directory)


@contextmanager
def draft(place: Place) -> Iterator[Draft]:
    """A draft that leaves nothing but what it published."""
    _remove_abandoned(place.directory)
    new = Draft(place)
    try:
        yield new
    finally:
        new.close()


def _temporary_name() -> str:
    return f".{os.getpid()}-{secrets.token_hex(8)}.agent-tmp"


def _remove_abandoned(directory: int) -> None:
    for name in os.listdir(directory):
        found = _TEMPORARY.fullmatch(name)
        if found and not _is_running(int(found.group(1))):
            with suppress(FileNotFoundError):
                os.unlink(name, dir_fd=directory)


def _is_running(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except (PermissionError, OverflowError):
        return True
    return True
