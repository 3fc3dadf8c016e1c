"""Finding strings in text that arrives in pieces."""

from collections.abc import Sequence


class Scanner:
    """Watches a stream of text for the first of some patterns, wherever tokens break it.

    Text that may be the beginning of a pattern is held back until it is known not to be.
    """

    def __init__(self, patterns: Sequence[str]) -> None:
        self._patterns = [pattern for pattern in patterns if pattern]
        self._held = ""

    def feed(self, text: str) -> tuple[str, str | None, str]:
        """Returns (text before, the pattern found or None, text after it)."""
        held = self._held + text
        found = [(at, p) for p in self._patterns if (at := held.find(p)) >= 0]
        if found:
            at, pattern = min(found, key=lambda hit: (hit[0], -len(hit[1])))
            self._held = ""
            return held[:at], pattern, held[at + len(pattern) :]
        safe = len(held) - self._longest_beginning(held)
        self._held = held[safe:]
        return held[:safe], None, ""

    def flush(self) -> str:
        """The text held back, once no more can come."""
        held, self._held = self._held, ""
        return held

    def _longest_beginning(self, text: str) -> int:
        """Length of the longest end of `text` with which a pattern begins."""
        longest = max((len(pattern) - 1 for pattern in self._patterns), default=0)
        for size in range(min(longest, len(text)), 0, -1):
            tail = text[-size:]
            if any(pattern.startswith(tail) for pattern in self._patterns):
                return size
        return 0
