"""Changing a file of the user's own configuration: whole or not at all, one process at a time."""

import fcntl
import os
import tempfile
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from agent.exits import AgentError


def folder() -> Path:
    """Where the user's own settings are."""
    from platformdirs import user_config_path

    return user_config_path("agent", appauthor=False)


def rewrite(name: str, change: Callable[[str], str]) -> Path:
    """Replace the text of a file in the folder by what `change` makes of it; a link stays a link.

    Raises:
        AgentError: the file cannot be read or written; it then stands as it was.
    """
    path = folder() / name
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        held = os.open(path.parent, os.O_RDONLY)
        try:
            fcntl.flock(held, fcntl.LOCK_EX)
            _replace(path.resolve(), change)
        finally:
            os.close(held)
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8"
        raise AgentError(f"{path} cannot be changed: {reason}.") from error
    return path


def _replace(path: Path, change: Callable[[str], str]) -> None:
    old, mode = "", 0o600
    with suppress(FileNotFoundError):
        old, mode = path.read_bytes().decode("utf-8"), path.stat().st_mode & 0o777
    new = change(old)
    if new == old:
        return
    descriptor, draft = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(new.encode())
            file.flush()
            os.fchmod(descriptor, mode)
            os.fsync(descriptor)
        Path(draft).replace(path)
    except BaseException:
        Path(draft).unlink(missing_ok=True)
        raise
