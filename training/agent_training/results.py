"""Read facts back out of tool results, as far as the model is shown them."""

import re
from dataclasses import dataclass

VISIBLE = 1500
"""Characters of a tool result that the chat template shows to the model."""

_SUMMARY = re.compile(r"^(\d+) match(?:es)? in (\d+) files?")
_HIT = re.compile(r"^(.+?):(\d+): ?(.*)$")
_FOLLOWS = re.compile(r"\d+\t")
_FILES = re.compile(r"^(\d+) files?")
_MEANT = re.compile(r"^Error: .* does not exist\. Did you mean (\S+)\?$")
_READ = re.compile(r"^(.+): lines (\d+)-(\d+) of (\d+)")


@dataclass(frozen=True)
class Hit:
    path: str
    line: int
    text: str

    @property
    def place(self) -> str:
        return f"`{self.path}:{self.line}`"


@dataclass(frozen=True)
class Matches:
    """A grep result: the totals of its summary, the hits that are visible whole."""

    total: int
    files: int
    hits: tuple[Hit, ...]


@dataclass(frozen=True)
class Excerpt:
    """A read_file result: the lines that are visible whole."""

    path: str
    first: int
    last: int
    total: int
    lines: tuple[str, ...]


def visible_lines(result: str) -> list[str]:
    """The whole lines within the visible part; a cut line is not among them."""
    lines = result[:VISIBLE].splitlines()
    return lines if len(result) <= VISIBLE else lines[:-1]


def matches(result: str) -> Matches:
    summary = _SUMMARY.match(result)
    if summary is None:
        return Matches(0, 0, ())
    return Matches(int(summary[1]), int(summary[2]), tuple(_hits(result)))


def closest(result: str) -> list[Hit]:
    """The lines that a search shows which found nothing."""
    if not result.startswith("No matches. Closest:"):
        return []
    return _hits(result)


def _hits(result: str) -> list[Hit]:
    """The visible matches, without the numbered lines that follow them."""
    lines = [line for line in visible_lines(result)[1:] if not _FOLLOWS.match(line)]
    found = (_HIT.match(line) for line in lines)
    return [Hit(m[1], int(m[2]), m[3].strip()) for m in found if m]


def showing(result: str, text: str) -> Hit | None:
    """The first visible line that holds `text`, of a search (matches or not) or of a file read."""
    path = ""
    for line in visible_lines(result):
        if _FOLLOWS.match(line):
            number, _, said = line.partition("\t")
            if text in said:
                return Hit(path, int(number), said)
        elif hit := _HIT.match(line):
            path = hit[1]
            if text in hit[3]:
                return Hit(path, int(hit[2]), hit[3])
        elif read := _READ.match(line):
            path = read[1]
    return None


def files(result: str) -> tuple[int, list[str]]:
    """The number of files found, and the visible ones."""
    summary = _FILES.match(result)
    if summary is None:
        return 0, []
    return int(summary[1]), [line for line in visible_lines(result)[1:] if line[:1] != "["]


def meant(result: str) -> str | None:
    """The one path that a tool suggests in place of a missing one."""
    suggested = _MEANT.match(result)
    return suggested[1] if suggested else None


def excerpt(result: str) -> Excerpt | None:
    """None for an error or an empty file."""
    summary = _READ.match(result)
    if summary is None:
        return None
    numbered = (line.partition("\t") for line in visible_lines(result)[1:])
    lines = tuple(text for number, tab, text in numbered if tab and number.strip().isdigit())
    return Excerpt(summary[1], int(summary[2]), int(summary[3]), int(summary[4]), lines)
