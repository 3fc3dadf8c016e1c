"""The file of a session: one JSON object a line, only ever appended to.

A process that dies while it writes leaves at most one torn last line. Whatever is not a whole line
with a JSON object is no record.
"""

import fcntl
import io
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from agent.exits import UsageError

Record = dict[str, Any]
_BLOCK = 1 << 16


def line(record: Record) -> bytes:
    """The record as one line; half characters, which are no text, become question marks."""
    return json.dumps(record, ensure_ascii=False).encode("utf-8", "replace") + b"\n"


def parse(text: bytes) -> Record | None:
    """The record on a line, or None where there is none."""
    try:
        record = json.loads(text) if text.endswith(b"\n") else None
    except (ValueError, RecursionError):
        return None
    return record if isinstance(record, dict) and isinstance(record.get("kind"), str) else None


def read(path: Path) -> Iterator[Record]:
    """The records of a file, first to last."""
    with path.open("rb") as file:
        for text in file:
            record = parse(text)
            if record is not None:
                yield record


def backwards(descriptor: int) -> Iterator[tuple[Record, int]]:
    """(record, bytes it takes), last to first; reads only as far as it is asked to."""
    for text in _lines_backwards(descriptor):
        record = parse(text)
        if record is not None:
            yield record, len(text)


def _lines_backwards(descriptor: int) -> Iterator[bytes]:
    start = os.fstat(descriptor).st_size
    pending: list[bytes] = []  # last first, what is read of a line whose begin is not
    while start > 0:
        size = min(_BLOCK, start)
        start -= size
        block = os.pread(descriptor, size, start)
        first, newline, rest = block.partition(b"\n")
        if not newline:
            pending.append(block)
            continue
        whole = rest + b"".join(reversed(pending))
        yield from reversed(io.BytesIO(whole).readlines())
        pending = [first + newline]
    yield b"".join(reversed(pending))


def claim(path: Path) -> int:
    """Open a session for this process alone; closing the descriptor lets go of it.

    Raises:
        UsageError: another process has it open, or it is gone.
    """
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_APPEND | os.O_NOFOLLOW)
    except OSError as error:
        raise UsageError(f"Session {path.stem} cannot be opened: {error.strerror}.") from None
    try:
        hold(descriptor)
        if not os.fstat(descriptor).st_nlink:
            raise UsageError(f"Session {path.stem} has just been deleted.")
    except BlockingIOError:
        os.close(descriptor)
        raise UsageError(
            f"Session {path.stem} is open in another process; close it there first."
        ) from None
    except BaseException:
        os.close(descriptor)
        raise
    return descriptor


def hold(descriptor: int) -> None:
    """Lock an open session until the descriptor is closed. Raises BlockingIOError if it is."""
    fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)


def cut_torn_line(descriptor: int) -> None:
    """Take away what a killed process left of its last line."""
    last = next(_lines_backwards(descriptor), b"")
    if not last.endswith(b"\n"):
        os.ftruncate(descriptor, os.fstat(descriptor).st_size - len(last))
