"""Matching lines that are too long to show: the part around the match."""

import os
from collections.abc import Container, Iterable

from agent_tools import ripgrep
from agent_tools.truncate import LINE_CHARS, clip
from agent_tools.workspace import Workspace

OMITTED = "[Omitted long"
_SEARCHED_BYTES = 4 << 20
_UTF16 = (b"\xff\xfe", b"\xfe\xff")


def excerpts(
    workspace: Workspace, pattern: str, path: str, lines: dict[int, int]
) -> dict[int, str]:
    """At most LINE_CHARS characters around the first match of each line {number: byte offset}.

    Raises:
        FileNotFoundError, ToolError: the file is no longer there or may not be read.
    """
    offsets = dict(lines)
    with workspace.locate(path) as place, workspace.opened(place) as descriptor:
        arguments = (
            "--only-matching", "--replace=", "--no-heading", "--no-filename", "--line-number",
            "--byte-offset", "--crlf", "--", pattern, ripgrep.target(place),
        )  # fmt: skip
        with ripgrep.search(workspace, place, *arguments) as run:
            offsets |= _first_matches(ripgrep.chunks(run), lines)
        if os.pread(descriptor, 2, 0) in _UTF16:
            # ripgrep's offsets count the text as UTF-8.
            return dict.fromkeys(lines, "[long line]")
        return {n: _around(descriptor, start, offsets[n]) for n, start in lines.items()}


def _first_matches(chunks: Iterable[bytes], wanted: Container[int]) -> dict[int, int]:
    """The offset of the first match in each wanted line, from lines `number:offset:`."""
    found: dict[int, int] = {}
    rest, size = b"", 0
    for chunk in chunks:
        *lines, rest = (rest + chunk).split(b"\n")
        for line in lines:
            number, offset = map(int, line.split(b":")[:2])
            if number in wanted:
                found.setdefault(number, offset)
        size += len(chunk)
        if size > _SEARCHED_BYTES:
            break
    return found


def _around(descriptor: int, start: int, match: int) -> str:
    # No character has more than four bytes.
    first = max(start, match - 4 * LINE_CHARS)
    data = os.pread(descriptor, match - first + 4 * LINE_CHARS, first)
    before = data[: match - first].decode(errors="ignore")
    after = data[match - first :].split(b"\n")[0].decode(errors="ignore").removesuffix("\r")
    text = clip(before + after, len(before))
    return text if first == start or text.startswith("…") else f"…{text}"
