"""The few sentence forms that answers are made of."""

from collections.abc import Iterable, Sequence

from agent_training.oracle import Unusable
from agent_training.results import Excerpt, Hit, Matches

NAMED_ALL = 5
"""Up to this many, an answer names every place; of more it names the first few."""
NAMED_FIRST = 3
CODE_LINES = 6
_LONGEST_LINE = 110


def plural(count: int, noun: str) -> str:
    if count == 1:
        return f"1 {noun}"
    return f"{count} {noun}{'es' if noun.endswith(('s', 'tch')) else 's'}"


def listed(items: Sequence[str], total: int) -> str:
    """`: a, b, c` or, when there are more than can be named, `; the first: a, b`."""
    if not items:
        raise Unusable("nothing visible to name")
    if total <= NAMED_ALL and total <= len(items):
        return ": " + ", ".join(items)
    return "; the first: " + ", ".join(items[:NAMED_FIRST])


def places(found: Matches) -> str:
    """`9 matches in 4 files: `a.py:3`, ...`"""
    counted = f"{plural(found.total, 'match')} in {plural(found.files, 'file')}"
    return counted + listed([hit.place for hit in found.hits], found.total)


def named_places(found: Matches, noun: str, names: Sequence[tuple[str, Hit]]) -> str:
    """`3 classes in 2 files: `A` (`a.py:3`), ...`"""
    counted = f"{plural(found.total, noun)} in {plural(found.files, 'file')}"
    return counted + listed([f"`{name}` ({hit.place})" for name, hit in names], found.total)


def at(hit: Hit) -> str:
    return f"`{hit.path}` at line {hit.line}"


def code(lines: Iterable[str], *, through_blanks: bool = False) -> str:
    """A fenced block of the first lines, up to a blank one. Raises Unusable if they are wide."""
    chosen: list[str] = []
    for line in lines:
        if len(chosen) == CODE_LINES or not (line.strip() or through_blanks):
            break
        if len(line) > _LONGEST_LINE:
            raise Unusable("lines too wide to quote")
        chosen.append(line.rstrip())
    if not chosen:
        raise Unusable("nothing to quote")
    return "```\n" + "\n".join(chosen) + "\n```"


def span(text: str) -> str:
    """One line as a code span. Raises Unusable if it is wide or holds backticks."""
    if not text or len(text) > _LONGEST_LINE or "`" in text:
        raise Unusable("line not quotable")
    return f"`{text}`"


def extent(part: Excerpt) -> str:
    """`a.py` (lines 1-80 of 240)"""
    return f"`{part.path}` (lines {part.first}-{part.last} of {part.total})"
