"""One change of one file: planned from what stands there, then committed whole or not at all."""

import errno
import os
import stat
from contextlib import suppress
from dataclasses import dataclass

from agent_tools.draft import draft
from agent_tools.errors import ToolError
from agent_tools.workspace import Place, Workspace

_LARGEST = 64 << 20


@dataclass(frozen=True)
class Change:
    """What a write would do: the real relative path, the bytes before and after (None: no file)."""

    path: str
    old: bytes | None
    new: bytes | None


def current(workspace: Workspace, path: str) -> tuple[str, bytes | None]:
    """The real relative path that a write to `path` would change, and the bytes there now.

    Raises:
        ToolError: writing there is refused, or something other than a file is there.
    """
    with workspace.locate(path, writing=True) as place:
        return place.relative, _content(workspace, place)


def commit(workspace: Workspace, change: Change) -> None:
    """Make the change, keeping the file's mode and owner.

    Raises:
        ToolError: the file is not what the plan saw, is read-only, or cannot be written; it then
            stands as it was.
    """
    parents = change.new is not None
    with (
        workspace.around_commit(change),
        workspace.locate(change.path, writing=True, parents=parents) as place,
    ):
        # The path was a real one: if it leads elsewhere now, a link was put in its way.
        if place.relative != change.path:
            raise _stale(change.path)
        try:
            if change.new is None:
                _remove(workspace, place, change)
            else:
                _replace(workspace, place, change, change.new)
        except OSError as error:
            raise _explained(error, change.path) from None


def remove_empty(workspace: Workspace, path: str) -> None:
    """Remove the directory at a real relative path; one that is not empty stays."""
    with suppress(OSError, ToolError), workspace.locate(path, writing=True) as place:
        if place.relative == path and not place.adrift:
            os.rmdir(place.name, dir_fd=place.directory)


def _content(workspace: Workspace, place: Place) -> bytes | None:
    try:
        with workspace.opened(place) as descriptor:
            if os.fstat(descriptor).st_size > _LARGEST:
                raise ToolError(f"{place.relative} is larger than 64 MB; too large to change.")
            with os.fdopen(os.dup(descriptor), "rb") as file:
                return file.read()
    except FileNotFoundError:
        return None


def _remove(workspace: Workspace, place: Place, change: Change) -> None:
    if _content(workspace, place) != change.old:
        raise _stale(place.relative)
    _writable(place)
    os.unlink(place.name, dir_fd=place.directory)
    os.fsync(place.directory)


def _replace(workspace: Workspace, place: Place, change: Change, content: bytes) -> None:
    status = _writable(place) if change.old is not None else None
    with draft(place) as new:
        new.write(content)
        if status:
            _keep_owner_and_mode(new.descriptor, status)
        os.fsync(new.descriptor)
        if _content(workspace, place) != change.old:
            raise _stale(place.relative)
        try:
            new.publish(replacing=change.old is not None)
        except FileExistsError:
            raise _stale(place.relative) from None
    os.fsync(place.directory)


def _writable(place: Place) -> os.stat_result:
    status = place.status()
    if not status.st_mode & 0o222:
        raise ToolError(f"{place.relative} is read-only.")
    return status


def _stale(path: str) -> ToolError:
    return ToolError(f"{path} was changed meanwhile; read it again, then write.")


def _keep_owner_and_mode(descriptor: int, status: os.stat_result) -> None:
    now = os.fstat(descriptor)
    if (now.st_uid, now.st_gid) != (status.st_uid, status.st_gid):
        os.fchown(descriptor, status.st_uid, status.st_gid)
    os.fchmod(descriptor, stat.S_IMODE(status.st_mode))


def _explained(error: OSError, path: str) -> ToolError:
    reasons = {
        errno.ENOSPC: "the disk is full",
        errno.EDQUOT: "the disk quota is used up",
        errno.EFBIG: "the file would be too large",
        errno.EROFS: "the disk is read-only",
        errno.EACCES: "permission denied",
        errno.EPERM: "permission denied",
    }
    reason = reasons.get(error.errno or 0, os.strerror(error.errno or 0))
    return ToolError(f"{path} was not written: {reason}. It stands as it was.")
