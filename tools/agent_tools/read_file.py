"""The read_file tool: numbered lines of a text file, streamed so that size does not matter."""

import codecs
import os
from collections.abc import Iterator

from agent_tools import suggest, text
from agent_tools.errors import ToolError
from agent_tools.truncate import Window
from agent_tools.workspace import Workspace

_CHUNK = 1 << 20
_LOOKED_AT = 8192


def read_file(workspace: Workspace, path: str, start: int = 1, end: int = 0) -> str:
    """Read lines of a file, numbered.

    Args:
        path: File to read.
        start: First line.
        end: Last line; 0 for as many as fit.
    """
    first = max(start, 1)
    if end and end < first:
        raise ToolError(f"end={end} is before start={first}; give an end that is not.")

    def look(path: str) -> str:
        with workspace.open_file(path) as (descriptor, relative):
            return _numbered(descriptor, relative, first, end)

    return suggest.looked(workspace, path, look)


def _numbered(descriptor: int, relative: str, first: int, last: int) -> str:
    beginning = os.pread(descriptor, _LOOKED_AT, 0)
    for encoding in text.encodings_of(beginning):
        try:
            window = Window(first, last)
            for piece in _pieces(descriptor, encoding):
                window.feed(piece)
        except UnicodeDecodeError:
            continue
        return window.report(relative, encoding.label)
    size = os.fstat(descriptor).st_size
    raise ToolError(f"{relative} is a binary file ({size} bytes); only text can be read.")


def _pieces(descriptor: int, encoding: text.Encoding) -> Iterator[str]:
    decoder = codecs.getincrementaldecoder(encoding.codec)()
    offset = len(encoding.mark)
    while data := os.pread(descriptor, _CHUNK, offset):
        offset += len(data)
        yield decoder.decode(data)
    yield decoder.decode(b"", final=True)
