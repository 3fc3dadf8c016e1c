"""The sessions of a project: which there are, which one is meant, what they say, away with them."""

import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from itertools import islice
from pathlib import Path
from typing import Any

from agent import project, records
from agent.answer import plain
from agent.exits import UsageError
from agent.records import Record

_NAMED = 5  # sessions that a message names
_SHORT = 8  # characters of an id that people are shown
_TITLE = 60
_AROUND = 60  # characters shown on either side of what was searched for
# What people wrote and were shown. The messages kept for the model say the same once more.
_SEARCHED = ("question", "answer", "message", "tool", "arguments", "result", "note")


@dataclass(frozen=True)
class Summary:
    """A session in a list; `title` is its first question."""

    id: str
    directory: str
    started: str
    last: str
    turns: int
    title: str

    @property
    def line(self) -> str:
        """The session on a line of its own, for people."""
        return f"{self.id[:_SHORT]}  {self.last[:16].replace('T', ' ')}  {clip(self.title)}"

    def as_json(self) -> dict[str, Any]:
        """The summary as one JSON object."""
        return asdict(self)


@dataclass(frozen=True)
class Match:
    """A record that contains what was searched for, with the text around it."""

    id: str
    time: str
    kind: str
    excerpt: str

    @property
    def line(self) -> str:
        """The match on a line of its own, for people."""
        return f"{self.id[:_SHORT]}  {self.kind}: {self.excerpt}"

    def as_json(self) -> dict[str, Any]:
        """The match as one JSON object."""
        return asdict(self)


def folder(root: Path, home: Path | None = None) -> Path:
    """Where the sessions of the codebase at `root` are; `home` as in `project.folder`."""
    return project.folder("sessions", root, home)


def paths(root: Path, home: Path | None = None) -> list[Path]:
    """The files of all sessions, last written first, also of those in which nothing was asked."""
    dated: list[tuple[int, Path]] = []
    for path in folder(root, home).glob("*.jsonl"):
        with suppress(FileNotFoundError):
            dated.append((path.stat().st_mtime_ns, path))
    return [path for _, path in sorted(dated, reverse=True)]


def summaries(root: Path, home: Path | None = None) -> Iterator[Summary]:
    """The sessions in which something was asked, last written first."""
    for path in paths(root, home):
        with suppress(FileNotFoundError):
            summary = _summary(path)
            if summary is not None:
                yield summary


def find(root: Path, wanted: str, home: Path | None = None) -> Path:
    """The file of the session whose id begins with `wanted`.

    Raises:
        UsageError: there is none, or several; the message names what there is.
    """
    found = [path for path in paths(root, home) if wanted and path.stem.startswith(wanted.lower())]
    if len(found) == 1:
        return found[0]
    if found:
        ids = ", ".join(path.stem for path in found[:_NAMED])
        raise UsageError(f"Several sessions begin with {wanted!r}: {ids}; give more of the id.")
    there = [
        f"{summary.id[:_SHORT]} ({clip(summary.title)})"
        for summary in islice(summaries(root, home), _NAMED)
    ]
    known = f"the latest are {', '.join(there)}" if there else "there is none yet"
    raise UsageError(f"There is no session {wanted!r} of {root.resolve()}; {known}.")


def newest(root: Path, home: Path | None = None) -> Path:
    """The file of the session that was last written to.

    Raises:
        UsageError: nothing was ever asked here.
    """
    for summary in summaries(root, home):
        return folder(root, home) / f"{summary.id}.jsonl"
    raise UsageError(f"There is no session of {root.resolve()} yet to continue.")


def search(root: Path, text: str, home: Path | None = None) -> Iterator[Match]:
    """The records that contain a text, upper and lower case alike."""
    wanted = text.casefold()
    for path in paths(root, home):
        with suppress(FileNotFoundError):
            for record in records.read(path):
                excerpt = _excerpt(record, wanted)
                if excerpt is not None:
                    yield Match(path.stem, str(record.get("time")), record["kind"], excerpt)


def delete(files: Sequence[Path]) -> None:
    """Remove sessions for good.

    Raises:
        UsageError: one of them is open in another process; none is removed then.
    """
    claimed: list[int] = []
    try:
        for path in files:
            claimed.append(records.claim(path))  # noqa: PERF401  (each is to be closed)
        for path in files:
            path.unlink(missing_ok=True)
    finally:
        for descriptor in claimed:
            os.close(descriptor)


def clip(text: str) -> str:
    """A text as a short line that a terminal may be shown."""
    line = " ".join(plain(text).split())
    return line if len(line) <= _TITLE else line[: _TITLE - 1] + "…"


def _summary(path: Path) -> Summary | None:
    begun: Record | None = None
    for record in records.read(path):
        begun = begun or record
        if record["kind"] == "asked":
            break
    else:
        return None
    assert begun is not None
    last, turns = _end(path)
    return Summary(
        id=path.stem,
        directory=str(begun.get("directory", "")),
        started=str(begun.get("time", "")),
        last=last,
        turns=turns,
        title=str(record.get("question", "")),
    )


def _end(path: Path) -> tuple[str, int]:
    """(time of the last record, number of turns)."""
    last = ""
    with path.open("rb") as file:
        for record, _ in records.backwards(file.fileno()):
            last = last or str(record.get("time", ""))
            if isinstance(record.get("turn"), int):
                return last, record["turn"]
    return last, 0


def _excerpt(record: Record, wanted: str) -> str | None:
    for name in _SEARCHED:
        for text in _texts(record.get(name)):
            place = text.casefold().find(wanted)
            if place >= 0:
                begin, end = max(0, place - _AROUND), place + len(wanted) + _AROUND
                around = " ".join(plain(text[begin:end]).split())
                return f"{'…' if begin else ''}{around}{'…' if end < len(text) else ''}"
    return None


def _texts(value: object) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        for inner in value.values():
            yield from _texts(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from _texts(inner)
