"""The grep tool: real ripgrep, read as a stream that is counted in full and kept only in part.

ripgrep prints each file's matches in one block (`path NUL line:text ... blank line`), the blocks in
any order. Sorting them by ripgrep itself would cost it its threads, so the blocks that can still be
shown are kept, in path order, and the others only counted.
"""

import re
import stat
from collections.abc import Iterable
from dataclasses import dataclass, field

from agent_tools import globs, ripgrep, suggest
from agent_tools.errors import ToolError
from agent_tools.policy import is_secret
from agent_tools.truncate import LINE_CHARS, clip, counted, fitting, notice
from agent_tools.workspace import Place, Workspace, kind

_KEPT_BYTES = 64 * 1024
_TAIL = 200
_OMITTED = "[Omitted long"
_MATCH = re.compile(rb"\d+:")


@dataclass
class _Tally:
    """Matches counted over all files, and the first files' matching lines."""

    wanted: "_Wanted"
    matches: int = 0
    files: int = 0
    kept: dict[str, bytes] = field(default_factory=dict)
    size: int = 0
    ceiling: str | None = None

    def add(self, head: bytes, lines: int, tail: bytes) -> None:
        path, separator, text = head.partition(b"\0")
        lines -= _ends_in_message(tail)
        name = self.wanted.path(path) if separator else None
        if name is None or lines <= 0:
            return
        self.matches += lines
        self.files += 1
        if self.ceiling is None or name < self.ceiling:
            self.kept[name] = text
            self.size += len(text)
            if self.size > 16 * _KEPT_BYTES:
                self._prune()

    def _prune(self) -> None:
        kept, self.kept, self.size = sorted(self.kept.items()), {}, 0
        for name, text in kept:
            if self.size > _KEPT_BYTES:
                self.ceiling = name
                break
            self.kept[name] = text
            self.size += len(text)


def _ends_in_message(tail: bytes) -> bool:
    """Whether ripgrep closed a block with a remark on binary content instead of a match."""
    *before, last = re.split(rb"[\n\0]", tail.removesuffix(b"\n"))
    return bool(before) and not _MATCH.match(last)


@dataclass
class _Wanted:
    """Which of the files that ripgrep searched count, and what they are called from the root."""

    prefix: str
    below: str
    glob: str
    hidden: bool

    def __post_init__(self) -> None:
        self.matches = globs.matcher(self.glob) if self.glob else None

    def path(self, printed: bytes) -> str | None:
        name = self.prefix + printed.decode(errors="surrogateescape").removeprefix("./")
        if is_secret(name) or not (self.hidden or not ripgrep.is_hidden(name, self.below)):
            return None
        if self.matches and not (self.matches(name) or self._matches_from_below(name)):
            return None
        return name

    def _matches_from_below(self, name: str) -> bool:
        below = f"{self.below}/"
        matches = self.matches
        return bool(matches and name.startswith(below) and matches(name.removeprefix(below)))


def grep(workspace: Workspace, pattern: str, path: str = ".", glob: str = "") -> str:
    """Search file contents for a regular expression.

    Args:
        pattern: Regular expression.
        path: Directory or file to search.
        glob: Only these files, e.g. *.py.
    """
    _check(pattern)
    try:
        with workspace.locate(path) as place:
            return _search(workspace, place, pattern, glob.strip())
    except FileNotFoundError:
        raise suggest.missing(workspace, path) from None


def _check(pattern: str) -> None:
    if not pattern:
        raise ToolError("The pattern is empty; give the text or regular expression to look for.")
    if "\n" in pattern or "\0" in pattern:
        raise ToolError("The pattern spans lines; grep looks at one line at a time.")


def _search(workspace: Workspace, place: Place, pattern: str, glob: str) -> str:
    mode = place.status().st_mode
    if not (stat.S_ISDIR(mode) or stat.S_ISREG(mode)):
        raise ToolError(f"{place.relative} is {kind(mode)}; grep searches files and directories.")
    hidden = ripgrep.names_hidden(glob) or ripgrep.names_hidden(place.relative)
    below = place.relative if stat.S_ISDIR(mode) else place.relative.rpartition("/")[0]
    wanted = _Wanted(ripgrep.parent_of(place), below, glob, hidden)
    arguments = [*ripgrep.scope(workspace, hidden=hidden), *_prefilter(glob)]
    target = "./" if place.name == "." else f"./{place.name}"
    tally = _Tally(wanted)
    shape = ("--heading", "--with-filename", "--null", "--line-number")
    columns = f"--max-columns={4 * LINE_CHARS}"
    try:
        with ripgrep.search(
            workspace, place, *arguments, *shape, columns, "--crlf", "--", pattern, target
        ) as run:
            _read_blocks(run.chunks(), tally)
    except ToolError as error:
        raise _invalid(pattern, str(error)) from None
    return _report(tally, run.timed_out)


def _prefilter(glob: str) -> tuple[str, ...]:
    """A file type for ripgrep made from the glob's last component; unlike --glob it keeps to .gitignore."""
    if not glob or glob.startswith("!") or re.search(r"\{[^}]*/", glob):
        return ()
    name = glob.rpartition("/")[2]
    if name in ("", "**"):
        return ()
    return (f"--type-add=wanted:{name}", "--type=wanted")


def _read_blocks(chunks: Iterable[bytes], tally: _Tally) -> None:
    head, tail, lines, rest = b"", b"", 0, b""
    for chunk in chunks:
        data, start = rest + chunk, 0
        while start < len(data):
            end = data.find(b"\n\n", start)
            # A last newline may be the first half of a separator.
            stop = end + 1 if end >= 0 else len(data) - data.endswith(b"\n")
            lines += data.count(b"\n", start, stop)
            if len(head) < _KEPT_BYTES:
                head += data[start : min(stop, start + _KEPT_BYTES)]
            tail = (tail + data[max(start, stop - _TAIL) : stop])[-_TAIL:]
            if end < 0:
                start = stop
                break
            tally.add(head, lines, tail)
            head, tail, lines, start = b"", b"", 0, end + 2
        rest = data[start:]
    if head or rest:
        lines += 1
        tally.add(head + rest, lines, tail + rest)


def _report(tally: _Tally, timed_out: bool) -> str:
    if not tally.matches:
        if timed_out:
            raise ToolError("The search took too long; narrow it with path or glob.")
        return "No matches."
    summary = (
        f"{counted(tally.matches, 'match', 'matches')} in {counted(tally.files, 'file', 'files')}"
    )
    lines = []
    for name, text in sorted(tally.kept.items()):
        for line in text.decode(errors="replace").split("\n"):
            number, separator, content = line.partition(":")
            if separator and number.isdigit():
                lines.append(f"{name}:{number}: {clip(content.rstrip())}")
        if len(lines) > 1000:
            break
    shown = fitting(lines)
    result = [summary, *lines[:shown]]
    if timed_out:
        result.append(f"[stopped after {ripgrep.DEADLINE_SECONDS:.0f} s; narrow with path or glob]")
    elif shown < tally.matches:
        result.append(notice(shown, tally.matches, "matches", "narrow with path or glob"))
    return "\n".join(result)


def _invalid(pattern: str, message: str) -> ToolError:
    reason = message.rpartition("error: ")[2].splitlines()[0]
    literal = re.sub(r"([\\.+*?()|\[\]{}^$])", r"\\\1", pattern)
    return ToolError(
        f"The pattern is no valid regular expression: {reason}. "
        f"To look for this very text, escape it: {literal}"
    )
