"""What follows the matches of a search, where they are few: what a reader would open next."""

import os
import re
from collections import defaultdict
from collections.abc import Sequence
from contextlib import suppress

from agent_tools import text
from agent_tools.errors import ToolError
from agent_tools.truncate import clip
from agent_tools.workspace import Workspace

MOST_MATCHES = 4
LINES = 30  # shared by all matches
_CHARS = 160
_READ_BYTES = 4 << 20
_PLACE = re.compile(r"(.+?):(\d+): ", re.DOTALL)


def shown(
    workspace: Workspace, lines: Sequence[str], matches: int = MOST_MATCHES, budget: int = LINES
) -> list[str]:
    """The lines `file:number: text`, the first `matches` with what follows them in their files.

    `budget` lines are shared by them, numbered as `read_file` does: the number, a tab, the line.
    """
    places = [_place(line) for line in lines]
    taken = {place for place in places if place}
    after = budget // max(1, min(matches, len(lines)))
    files: dict[str, list[str]] = defaultdict(list)
    result: list[str] = []
    for at, (line, place) in enumerate(zip(lines, places, strict=True)):
        if at >= matches or place is None:
            result.append(line)
            continue
        name, number = place
        if name not in files:
            files[name] = _text_of(workspace, name)
        result.append(line)
        for following in range(number + 1, min(number + after, len(files[name])) + 1):
            if (name, following) in taken:
                break
            taken.add((name, following))
            result.append(_numbered(files[name], following))
    return result


def _place(line: str) -> tuple[str, int] | None:
    found = _PLACE.match(line)
    return (found[1], int(found[2])) if found else None


def _numbered(lines: list[str], number: int) -> str:
    return f"{number}\t{clip(lines[number - 1].rstrip(), limit=_CHARS)}"


def _text_of(workspace: Workspace, name: str) -> list[str]:
    """The lines of a file; none of one that is very large, binary or gone."""
    with suppress(ToolError, FileNotFoundError), workspace.open_file(name) as (descriptor, _):
        data = os.pread(descriptor, _READ_BYTES, 0)
        if len(data) < _READ_BYTES and (decoded := text.decode(data)):
            return decoded[0].rstrip().split("\n")
    return []
