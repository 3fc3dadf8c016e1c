"""The edit_file tool: one exact piece of a file replaced by another."""

import re
from difflib import SequenceMatcher
from itertools import takewhile

from agent_tools import suggest, text
from agent_tools.change import Change, commit, current
from agent_tools.errors import ToolError
from agent_tools.truncate import LINE_CHARS, clip
from agent_tools.workspace import Workspace

_COMPARED_LINES = 20_000
_SHOWN_LINES = 40
_ALIKE = 0.6
_NUMBERED = re.compile(r"(\d+)\t")


def edit_file(workspace: Workspace, path: str, old: str, new: str) -> str:
    """Replace one exact piece of a file.

    Args:
        path: File to change.
        old: Exact text to replace; occurs once.
        new: Text to put there.
    """
    change, line = plan(workspace, path, old, new)
    commit(workspace, change)
    return f"Edited {change.path} at line {line}."


def plan(workspace: Workspace, path: str, old: str, new: str) -> tuple[Change, int]:
    """What edit_file would do, and the line where it begins.

    Raises:
        ToolError: `old` is not there exactly once, or the file is refused or no text.
    """
    if not old:
        raise ToolError("old is empty; give the text to replace, or use write_file.")
    if old == new:
        raise ToolError("old and new are the same; nothing to change.")
    relative, data = current(workspace, path)
    if data is None:
        raise suggest.missing(workspace, path)
    decoded = text.decode(data)
    if decoded is None:
        raise ToolError(f"{relative} is a binary file; edit_file changes only text.")
    content, encoding = decoded
    found, replacement = _find(content, old, new, relative)
    start, stop = found.span()
    replacement = _with_line_endings_of(found.group(), replacement, text.newline_of(content))
    edited = content[:start] + replacement + content[stop:]
    return Change(relative, data, encoding.encode(edited)), _line_at(content, start)


def _find(content: str, old: str, new: str, path: str) -> tuple[re.Match[str], str]:
    found = _occurrences(content, old)
    if not found and (bare := _unnumbered(old)):
        first, old = bare
        found = _occurrences(content, old)
        if len(found) > 1:
            found = [one for one in found if _line_at(content, one.start()) == first] or found
        if numbered := _unnumbered(new):
            new = numbered[1]
        elif any(_NUMBERED.match(line) for line in new.split("\n")):
            raise ToolError("Some lines of new carry line numbers; send new without them.")
    if not found:
        raise _miss(content, old, path)
    if len(found) > 1:
        lines = ", ".join(str(_line_at(content, one.start())) for one in found[:10])
        raise ToolError(
            f"old occurs {len(found)} times in {path} (lines {lines}); "
            "send more of the lines around the one to change."
        )
    return found[0], new


def _occurrences(content: str, old: str) -> list[re.Match[str]]:
    """Where `old` stands, a line ending matching any other."""
    lines = (re.escape(line) for line in old.replace("\r\n", "\n").split("\n"))
    return list(re.finditer(r"\r?\n".join(lines), content))


def _with_line_endings_of(region: str, new: str, usual: str) -> str:
    """The new text with the region's line endings: lines that stay keep theirs."""
    before, after = region.split("\n"), new.replace("\r\n", "\n").split("\n")
    endings = ["\r\n" if line.endswith("\r") else "\n" for line in before[:-1]]
    bare = [line.removesuffix("\r") for line in before[:-1]]
    newline = text.newline_of(region) if endings else usual
    head = _common(bare, after[:-1])
    tail = _common(bare[head:][::-1], after[head:-1][::-1])
    middle = [newline] * (len(after) - 1 - head - tail)
    kept = [*endings[:head], *middle, *endings[len(endings) - tail :]]
    return "".join(map(str.__add__, after, [*kept, ""]))


def _common(one: list[str], other: list[str]) -> int:
    """How many lines at the beginning are the same."""
    pairs = zip(one, other, strict=False)
    return sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], pairs))


def _unnumbered(piece: str) -> tuple[int, str] | None:
    """The first line's number and the text, of lines that all begin as read_file numbers them."""
    lines = piece.removesuffix("\n").split("\n")
    numbers = [_NUMBERED.match(line) for line in lines]
    if not numbers[0] or not all(numbers):
        return None
    bare = "\n".join(_NUMBERED.sub("", line, count=1) for line in lines)
    return int(numbers[0].group(1)), bare + ("\n" if piece.endswith("\n") else "")


def _line_at(content: str, offset: int) -> int:
    return content.count("\n", 0, offset) + 1


def _miss(content: str, old: str, path: str) -> ToolError:
    lines = [line.removesuffix("\r") for line in content.split("\n")]
    wanted = old.replace("\r\n", "\n").strip("\n").split("\n")
    first = _closest(lines[:_COMPARED_LINES], wanted)
    if first is None:
        return ToolError(f"old is not in {path}, nor anything like it; read the file first.")
    region = lines[first : first + len(wanted)]
    only_spaces = [line.split() for line in region] == [line.split() for line in wanted]
    numbered = [f"{first + n}\t{clip(line)}" for n, line in enumerate(region[:_SHOWN_LINES], 1)]
    return ToolError(
        f"old is not in {path}{' with this white space' if only_spaces else ''}. "
        f"The closest is lines {first + 1}-{first + len(region)}:\n"
        + "\n".join(numbered)
        + "\nSend old exactly as it stands there."
    )


def _closest(lines: list[str], wanted: list[str]) -> int | None:
    """The first line of the region most like the wanted lines, or None if nothing is."""
    stripped = [line.strip()[:LINE_CHARS] for line in lines]
    pieces = [line.strip()[:LINE_CHARS] for line in wanted]
    same = SequenceMatcher(None, stripped, pieces, autojunk=False).find_longest_match()
    if any(stripped[same.a : same.a + same.size]):
        return max(0, same.a - same.b)
    best, at = _ALIKE, None
    anchor = next((n for n, piece in enumerate(pieces) if piece), 0)
    compare = SequenceMatcher(None, b=pieces[anchor])
    for number, line in enumerate(stripped):
        compare.set_seq1(line)
        if compare.real_quick_ratio() > best and compare.quick_ratio() > best:
            ratio = compare.ratio()
            if ratio > best:
                best, at = ratio, max(0, number - anchor)
    return at
