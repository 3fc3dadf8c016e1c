"""The one place that cuts results, and says how to see the rest."""

import sys
from collections.abc import Sequence

from agent_tools.errors import ToolError

RESULT_CHARS = 10_000
LINE_CHARS = 500


def fitting(lines: Sequence[str], budget: int = RESULT_CHARS) -> int:
    """How many of the lines fit into `budget` characters, newlines counted."""
    for count, line in enumerate(lines):
        budget -= len(line) + 1
        if budget < 0:
            return count
    return len(lines)


def joined(lines: Sequence[str]) -> str:
    """The lines as one result; what is no character in a file's name becomes a replacement."""
    return "\n".join(lines).encode("utf-8", "surrogateescape").decode("utf-8", "replace")


def clip(line: str, start: int = 0, limit: int = LINE_CHARS) -> str:
    """At most `limit` characters of a line, the one at `start` among them."""
    if len(line) <= limit:
        return line
    first = max(0, min(start - limit // 4, len(line) - limit))
    head = "…" if first else ""
    tail = "…" if first + limit < len(line) else ""
    return f"{head}{line[first : first + limit]}{tail}"


def notice(shown: int, total: int, what: str, remedy: str) -> str:
    """The last line of a result of which only a part is shown."""
    return f"[showing {shown} of {total} {what}; {remedy}]"


def limited(text: str) -> str:
    """A text of any origin as a result: what does not fit is left out, and counted."""
    if len(text) <= RESULT_CHARS:
        return text
    lines = text.split("\n")
    shown = fitting(lines)
    if not shown:
        cut = notice(RESULT_CHARS, len(text), "characters", "ask for less at once")
        return f"{text[:RESULT_CHARS]}\n{cut}"
    return "\n".join([*lines[:shown], notice(shown, len(lines), "lines", "ask for less at once")])


def counted(count: int, one: str, many: str) -> str:
    """`1 file`, `12 files`."""
    return f"{count} {one if count == 1 else many}"


class Window:
    """The lines `first` to `last` of a text that comes in pieces, kept only as far as they fit."""

    def __init__(self, first: int, last: int) -> None:
        self.first = first
        self.last = last or sys.maxsize
        self.total = 0
        self._lines: list[str] = []
        self._budget = RESULT_CHARS
        self._line = ""
        self._length = 0
        self._cut = 0

    def feed(self, piece: str) -> None:
        """Take the next piece of the text."""
        lines = piece.count("\n")
        if lines and (self._is_full() or self.total + lines + 1 < self.first):
            self._skip(lines, piece)
            return
        start = 0
        while (stop := piece.find("\n", start)) >= 0:
            self._extend(piece, start, stop)
            self._finish()
            start = stop + 1
            if self._is_full():
                rest = piece[start:]
                self._skip(rest.count("\n"), rest)
                return
        self._extend(piece, start, len(piece))

    def _is_full(self) -> bool:
        return self._budget <= 0 or self.total >= self.last

    def _skip(self, lines: int, piece: str) -> None:
        """Count lines that nobody will see."""
        self.total += lines
        self._line, self._length = "", len(piece) - piece.rfind("\n") - 1

    def _extend(self, piece: str, start: int, stop: int) -> None:
        room = RESULT_CHARS - len(self._line)
        if room > 0:
            self._line += piece[start : min(stop, start + room)]
        self._length += stop - start

    def _finish(self) -> None:
        self.total += 1
        if self.first <= self.total <= self.last and self._budget > 0:
            line = f"{self.total}\t{self._line.removesuffix(chr(13))}"
            self._budget -= len(line) + 1
            if self._budget >= 0 or not self._lines:
                self._lines.append(line)
                self._cut = self._length if self._length > len(self._line) else 0
        self._line, self._length = "", 0

    def report(self, path: str, label: str) -> str:
        """The result: a heading, the numbered lines, and how to go on where something is missing.

        Raises:
            ToolError: the text ends before the first line asked for.
        """
        if self._length:
            self._finish()
        if not self.total:
            return f"{path}: empty"
        if not self._lines:
            lines = counted(self.total, "line", "lines")
            raise ToolError(f"{path} has only {lines}; ask for a start up to {self.total}.")
        end = self.first + len(self._lines) - 1
        suffix = f" ({label})" if label else ""
        result = [f"{path}: lines {self.first}-{end} of {self.total}{suffix}", *self._lines]
        if self._cut:
            result.append(
                f"[line {end} is cut: it has {self._cut} characters; search it with grep]"
            )
        if end < min(self.last, self.total):
            rest = f"continue with start={end + 1}"
            result.append(f"[showing lines {self.first}-{end} of {self.total}; {rest}]")
        return joined(result)
