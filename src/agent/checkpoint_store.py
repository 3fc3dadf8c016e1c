"""Where checkpoints lie: for each session a log and the contents of files, outside the repository.

    checkpoints/lock
    checkpoints/PROJECT/SESSION/log.jsonl        a line for each write and for each one taken back
    checkpoints/PROJECT/SESSION/contents/SHA256  a file's bytes as they were before or after

All below the user's state folder. The log only grows, so a process that is killed leaves at most
one torn last line, and that line tells of a write that was not made yet.

Of all projects together the newest 200 sessions and 1 GiB are kept; when a session makes its first
write, the sessions that were used longest ago go.
"""

import fcntl
import hashlib
import json
import os
import secrets
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from agent import project

KEPT_SESSIONS = 200
KEPT_BYTES = 1 << 30


@dataclass(frozen=True)
class Write:
    """A write of the assistant: contents before and after as digests, None where was no file.

    `made` are the directories made for it, the innermost first; `time` is in nanoseconds.
    """

    id: str
    path: str
    before: str | None
    after: str | None
    made: tuple[str, ...]
    time: int
    undone: bool = False


def digest(content: bytes | None) -> str | None:
    """What a content is known by; None stays None."""
    return None if content is None else hashlib.sha256(content).hexdigest()


class Store:
    """The checkpoints of one session of one project; `home` replaces the user's state folder."""

    def __init__(self, root: Path, session_id: str, home: Path | None = None) -> None:
        of_project = project.folder("checkpoints", root, home)
        self._base = of_project.parent
        self._folder = of_project / session_id
        self._log = self._folder / "log.jsonl"

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Nobody else records, takes back or prunes meanwhile, in any process."""
        self._base.mkdir(mode=0o700, parents=True, exist_ok=True)
        lock = os.open(self._base / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield
        finally:
            os.close(lock)

    def add(
        self, path: str, before: bytes | None, after: bytes | None, made: tuple[str, ...]
    ) -> Write:
        """Keep a write that is about to be made; it is on the disk when this returns.

        Raises:
            OSError: it cannot be kept.
        """
        if not self._log.exists():
            self._begin()
        known = (self._keep(before), self._keep(after))
        write = Write(secrets.token_hex(8), path, *known, made, time.time_ns())
        fields = {name: value for name, value in vars(write).items() if name != "undone"}
        self._append({"write": fields})
        return write

    def mark_undone(self, write: Write) -> None:
        """The write was taken back. Raises OSError when that cannot be kept."""
        self._append({"undone": write.id})

    def mark_failed(self, write: Write) -> None:
        """The write was never made. Raises OSError when that cannot be kept."""
        self._append({"failed": write.id})

    def writes(self) -> list[Write]:
        """The writes that were made, oldest first, those taken back among them."""
        return _read(self._log)

    def discard(self) -> None:
        """Keep nothing of the session any more."""
        _remove(self._folder)

    def file(self, known: str) -> Path:
        """Where the content with this digest is kept."""
        return self._folder / "contents" / known

    def content(self, known: str | None) -> bytes | None:
        """The content with this digest.

        Raises:
            OSError: it is gone, or damaged.
        """
        if known is None:
            return None
        content = self.file(known).read_bytes()
        if digest(content) != known:
            raise OSError("the kept content is damaged")
        return content

    def _begin(self) -> None:
        _prune(self._base, self._folder)
        for folder in (self._folder.parent, self._folder, self._folder / "contents"):
            folder.mkdir(mode=0o700, exist_ok=True)
        self._log.touch(mode=0o600)
        for folder in (self._folder, self._folder.parent, self._base):
            _sync(folder)

    def _keep(self, content: bytes | None) -> str | None:
        known = digest(content)
        if content is None or known is None or self.file(known).exists():
            return known
        target = self.file(known)
        part = target.with_suffix(".part")
        try:
            _write(part, content, os.O_TRUNC)
            part.rename(target)
        except OSError:
            part.unlink(missing_ok=True)
            raise
        _sync(target.parent)
        return known

    def _append(self, record: dict[str, Any]) -> None:
        with self._log.open("rb") as log:
            log.seek(0, os.SEEK_END)
            size = log.tell()
            log.seek(max(0, size - 1))
            torn = size > 0 and log.read() != b"\n"
        line = "\n" * torn + json.dumps(record) + "\n"
        _write(self._log, line.encode(), os.O_APPEND)


def sessions(root: Path, home: Path | None = None) -> list[str]:
    """The sessions of a project that wrote something, the one that wrote last first."""
    last: dict[str, int] = {}
    for log in project.folder("checkpoints", root, home).glob("*/log.jsonl"):
        if writes := _read(log):
            last[log.parent.name] = writes[-1].time
    return sorted(last, key=lambda session: last[session], reverse=True)


def _read(log: Path) -> list[Write]:
    try:
        lines = log.read_bytes().splitlines()
    except FileNotFoundError:
        return []
    writes: dict[str, Write] = {}
    for line in lines:
        with suppress(ValueError, KeyError, TypeError):
            _apply(json.loads(line), writes)
    return list(writes.values())


def _apply(record: dict[str, Any], writes: dict[str, Write]) -> None:
    if "write" in record:
        write = Write(**record["write"])
        writes[write.id] = replace(write, made=tuple(write.made))
    elif "undone" in record:
        writes[record["undone"]] = replace(writes[record["undone"]], undone=True)
    else:
        del writes[record["failed"]]


def _prune(base: Path, mine: Path) -> None:
    folders = [folder for folder in base.glob("*/*") if folder.is_dir() and folder != mine]
    folders.sort(key=_used, reverse=True)
    size = 0
    for number, folder in enumerate(folders, start=2):
        size += sum(file.stat().st_size for file in folder.glob("contents/*"))
        if number > KEPT_SESSIONS or size > KEPT_BYTES:
            _remove(folder)


def _remove(folder: Path) -> None:
    shutil.rmtree(folder / "contents", ignore_errors=True)
    shutil.rmtree(folder, ignore_errors=True)


def _used(folder: Path) -> float:
    try:
        return (folder / "log.jsonl").stat().st_mtime
    except FileNotFoundError:
        return 0.0


def _write(file: Path, content: bytes, flag: int) -> None:
    descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC | flag, 0o600)
    try:
        rest = memoryview(content)
        while rest:
            rest = rest[os.write(descriptor, rest) :]
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _sync(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
