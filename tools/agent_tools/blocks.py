"""ripgrep's output read as a stream: counted in full, kept only as far as it may be shown.

With `--heading --null` each file's matches are one block, `path NUL line:offset:text ...` and a
blank line, and the blocks come in any order. Sorting would cost ripgrep its threads; so the first
files' blocks, in path order, are kept and the others only counted, without a look at their lines.
"""

import re
from collections.abc import Callable, Iterable

_KEPT_BYTES = 64 * 1024
_TAIL = 200
_MATCH = re.compile(rb"\d+:")


class Tally:
    """Matching lines counted over all files, and the first files' lines.

    `name_of` gives the name of a file that counts, None for one that does not.
    """

    def __init__(self, name_of: Callable[[str], str | None]) -> None:
        self._name_of = name_of
        self.matches = 0
        self.files = 0
        self.saw_binary = False
        self._kept: dict[str, tuple[int, bytes]] = {}
        self._size = 0
        self._ceiling: str | None = None

    def first(self) -> list[tuple[str, int, bytes]]:
        """The first files in path order: name, number of matches, beginning of their lines."""
        return [(name, *kept) for name, kept in sorted(self._kept.items())]

    def take_back(self, matches: int) -> None:
        """Do as if a file with so many matching lines had not been there."""
        self.files -= 1
        self.matches -= matches

    def read(self, chunks: Iterable[bytes]) -> None:
        """Take ripgrep's output."""
        head, tail, lines, rest = b"", b"", 0, b""
        for chunk in chunks:
            data, start = rest + chunk, 0
            while (end := data.find(b"\n\n", start)) >= 0:
                stop = end + 1
                lines += data.count(b"\n", start, stop)
                head += data[start : min(stop, start + _KEPT_BYTES - len(head))]
                self._add(head, lines, tail + data[max(start, stop - _TAIL) : stop])
                head, tail, lines, start = b"", b"", 0, end + 2
            # A last newline may be the first half of a separator.
            stop = max(start, len(data) - data.endswith(b"\n"))
            lines += data.count(b"\n", start, stop)
            head += data[start : min(stop, start + _KEPT_BYTES - len(head))]
            tail = (tail + data[max(start, stop - _TAIL) : stop])[-_TAIL:]
            rest = data[stop:]
        if head:
            self._add(head, lines + 1, tail)

    def _add(self, head: bytes, lines: int, tail: bytes) -> None:
        path, separator, text = head.partition(b"\0")
        if _ends_in_remark(tail):
            lines -= 1
            self.saw_binary = True
        name = self._name_of(path.decode(errors="surrogateescape")) if separator else None
        if name is None or lines <= 0:
            return
        self.matches += lines
        self.files += 1
        if self._ceiling is None or name < self._ceiling:
            self._kept[name] = lines, text
            self._size += len(text)
            if self._size > 16 * _KEPT_BYTES:
                self._prune()

    def _prune(self) -> None:
        kept, self._kept, self._size = sorted(self._kept.items()), {}, 0
        for name, (lines, text) in kept:
            if self._size > _KEPT_BYTES:
                self._ceiling = name
                break
            self._kept[name] = lines, text
            self._size += len(text)


def _ends_in_remark(tail: bytes) -> bool:
    """Whether ripgrep closed a block with a remark on binary content instead of a match."""
    if b"binary file" not in tail:
        return False
    *before, last = re.split(rb"[\n\0]", tail.removesuffix(b"\n"))
    return not _MATCH.match(last) if before else b": binary file matches (" in last
