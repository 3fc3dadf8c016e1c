"""The grep tool: real ripgrep, every match counted, the first ones shown.

Few matches are shown with the lines that follow them. Words joined by `|` are a search in words:
the matches that say most come first. Where nothing matches, the lines and files that come closest
are shown and said to be that.
"""

import re
import stat
from collections.abc import Callable
from time import monotonic
from typing import NamedTuple

from agent_tools import around, globs, long_lines, nearby, ranked, ripgrep, suggest
from agent_tools.blocks import Tally
from agent_tools.errors import ToolError
from agent_tools.policy import in_secret_directory, is_secret
from agent_tools.truncate import LINE_CHARS, RESULT_CHARS, counted, fitting, joined, notice
from agent_tools.workspace import Place, Workspace, kind

_LONGEST_PATTERN = 10_000
# After a longer search nobody waits for three more, only to see what came close.
_PATIENCE_SECONDS = 5.0
# Globs of a file name that ripgrep and globs.py read alike.
_PLAIN_NAME = re.compile(r"[\w.*?-]*(?:\{[\w.*?-]+(?:,[\w.*?-]+)*\})?[\w.*?-]*")
_LINE = re.compile(r"(\d+):(\d+):(.*)")
# What is read of the matches before they are ranked.
_RANKED_CHARS = 20 * RESULT_CHARS
_BEST, _AROUND_BEST = 3, 30


def grep(workspace: Workspace, pattern: str, path: str = ".", glob: str = "") -> str:
    """Search file contents for a regular expression.

    Args:
        pattern: Regular expression.
        path: Directory or file to search.
        glob: Only these files, e.g. *.py.
    """
    _check(pattern)
    wanted = globs.from_root(workspace, glob.strip())

    def look(path: str) -> str:
        with workspace.locate(path) as place:
            mode = place.status().st_mode
            if not (stat.S_ISDIR(mode) or stat.S_ISREG(mode)):
                raise ToolError(f"{place.relative} is {kind(mode)}; grep searches files.")
            return _search(workspace, place, pattern, wanted, is_file=stat.S_ISREG(mode))

    try:
        return suggest.looked(workspace, path.strip() or ".", look)
    except suggest.NothingLike as problem:
        result = look(".")
        if result.startswith(nearby.NOTHING):
            raise
        summary, _, rest = result.partition("\n")
        told = f"{summary}; {problem.path} does not exist, so everything was searched"
        return joined([told, rest])


def _check(pattern: str) -> None:
    if not pattern:
        raise ToolError("The pattern is empty; give the text or regular expression to look for.")
    if "\n" in pattern or "\0" in pattern:
        raise ToolError("The pattern spans lines; grep looks at one line at a time.")
    if len(pattern) > _LONGEST_PATTERN:
        raise ToolError(f"The pattern has more than {_LONGEST_PATTERN} characters; shorten it.")
    try:
        pattern.encode()
    except UnicodeEncodeError:
        raise ToolError("The pattern is not valid text.") from None


class _Found(NamedTuple):
    tally: Tally
    lines: list[str]
    timed_out: bool
    whole: bool
    """Whether `lines` are all there are."""


def _search(workspace: Workspace, place: Place, pattern: str, glob: str, *, is_file: bool) -> str:
    started = monotonic()
    found = _find(workspace, place, pattern, glob, is_file=is_file)
    if found.lines:
        return _report(workspace, found, pattern)
    if found.timed_out:
        raise ToolError("The search took too long; narrow it with path or glob.")
    if is_file and found.tally.saw_binary:
        raise ToolError(f"{place.relative} is a binary file; grep searches text.")
    if monotonic() - started > _PATIENCE_SECONDS:
        return nearby.NOTHING
    return _nothing(workspace, place, pattern, glob, is_file=is_file)


def _nothing(workspace: Workspace, place: Place, pattern: str, glob: str, *, is_file: bool) -> str:
    def here(wording: str) -> tuple[list[str], bool]:
        found = _find(workspace, place, wording, glob, is_file=is_file, chars=_RANKED_CHARS)
        return found.lines, found.whole

    def anywhere(wording: str) -> tuple[list[str], bool]:
        with workspace.locate(".") as root:
            found = _find(workspace, root, wording, "", is_file=False, chars=_RANKED_CHARS)
        return found.lines, found.whole

    lines = nearby.lines(pattern, here)
    if not lines and (glob or place.relative != "."):
        lines = nearby.lines(pattern, anywhere)
    close = around.shown(workspace, lines, _BEST, _AROUND_BEST)
    if len(lines) < nearby.SHOWN_LINES:
        listed = (f for f in ripgrep.files(workspace) if not in_secret_directory(f))
        close += nearby.files(pattern, listed)
    return joined([f"{nearby.NOTHING} Closest:", *close]) if close else nearby.NOTHING


def _find(
    workspace: Workspace, place: Place, pattern: str, glob: str, *, is_file: bool,
    chars: int | None = None,
) -> _Found:  # fmt: skip
    """The matches; of their lines somewhat more than `chars` characters."""
    words = ranked.words_of(pattern)
    chars = chars or (_RANKED_CHARS if words else RESULT_CHARS)
    hidden = ripgrep.names_hidden(glob) or ripgrep.names_hidden(place.relative)
    below = place.relative.rpartition("/")[0] if is_file else place.relative
    tally = Tally(_namer(workspace, place, below, glob, hidden=hidden))
    arguments = (
        *ripgrep.scope(workspace, hidden=hidden),
        *_prefilter(glob),
        *ripgrep.BLOCKS,
        f"--max-columns={LINE_CHARS}",
        "--crlf",
        # Ripgrep would spend minutes on compiling a{1000}{1000}.
        "--regex-size-limit=10M",
        "--",
        pattern,
        ripgrep.target(place),
    )
    with ripgrep.search(workspace, place, *arguments) as run:
        try:
            tally.read(ripgrep.chunks(run))
        except ToolError as error:
            raise _invalid(pattern, str(error)) from None
    lines = _lines(workspace, tally, pattern, chars)
    whole = len(lines) >= tally.matches
    return _Found(tally, ranked.best_first(words, lines) if words else lines, run.timed_out, whole)


def _namer(
    workspace: Workspace, place: Place, below: str, glob: str, *, hidden: bool
) -> Callable[[str], str | None]:
    """What a file that ripgrep searched is called from the root; None if it does not count."""
    prefix = ripgrep.parent_of(place)
    matches = globs.matcher(glob) if glob else None

    def name_of(printed: str) -> str | None:
        name = prefix + printed.removeprefix("./")
        if is_secret(name) or workspace.is_closed(name) or workspace.is_own(name):
            return None
        if not hidden and ripgrep.is_hidden(name, below):
            return None
        # A model that names a path often means the glob from there.
        seen = (name, name.removeprefix(f"{below}/"))
        return name if matches is None or any(map(matches, seen)) else None

    return name_of


def _prefilter(glob: str) -> tuple[str, ...]:
    """A file type for ripgrep from the glob's last part; unlike --glob it keeps to .gitignore."""
    name = glob.rpartition("/")[2]
    if name in ("", "**") or "{" in glob[: -len(name)] or not _PLAIN_NAME.fullmatch(name):
        return ()
    return (f"--type-add=wanted:{name}", "--type=wanted")


def _lines(workspace: Workspace, tally: Tally, pattern: str, chars: int) -> list[str]:
    """The matching lines, until they fill `chars`; files that may not be read are taken back."""
    lines: list[str] = []
    size = 0
    for name, matches, content in tally.first():
        if size > chars:
            break
        try:
            found = _lines_of(workspace, name, pattern, content, chars)
        except (ToolError, FileNotFoundError):
            # Replaced by a link meanwhile, or a secret's other name.
            tally.take_back(matches)
            continue
        lines += found
        size += sum(map(len, found))
    return lines


def _lines_of(
    workspace: Workspace, name: str, pattern: str, content: bytes, chars: int
) -> list[str]:
    with workspace.open_file(name) as (_, relative):
        if relative != name:
            raise ToolError(f"{name} changed while it was searched.")
    found: dict[int, str] = {}
    long: dict[int, int] = {}
    size = 0
    for line in content.decode(errors="replace").split("\n"):
        if not (parts := _LINE.match(line)) or size > chars:
            break
        number, offset, text = int(parts[1]), int(parts[2]), parts[3]
        found[number] = text.rstrip()
        size += len(text)
        if text.startswith(long_lines.OMITTED):
            long[number] = offset
    if long:
        found |= long_lines.excerpts(workspace, pattern, name, long)
    return [f"{name}:{number}: {text}" for number, text in found.items()]


def _report(workspace: Workspace, found: _Found, pattern: str) -> str:
    tally = found.tally
    matches = counted(tally.matches, "match", "matches")
    number = fitting(found.lines)
    lines = found.lines[:number]
    if tally.matches <= around.MOST_MATCHES:
        lines = around.shown(workspace, lines)
    elif ranked.words_of(pattern):
        lines = around.shown(workspace, lines, _BEST, _AROUND_BEST)
        number = min(number, fitting(lines))
    result = [f"{matches} in {counted(tally.files, 'file', 'files')}", *lines[: fitting(lines)]]
    if found.timed_out:
        seconds = f"{ripgrep.DEADLINE_SECONDS:.0f} s"
        result.append(f"[stopped after {seconds}, there are more; narrow with path or glob]")
    elif number < tally.matches:
        result.append(notice(number, tally.matches, "matches", "narrow with path or glob"))
    return joined(result)


def _invalid(pattern: str, message: str) -> ToolError:
    reason = message.rpartition("error: ")[2].removeprefix("rg: ").splitlines()[0]
    if "not supported" in reason or "size limit" in reason:
        return ToolError(f"The pattern cannot be searched: {reason}. Use a simpler one.")
    literal = re.sub(r"([\\.+*?()|\[\]{}^$])", r"\\\1", pattern)
    return ToolError(
        f"The pattern is no valid regular expression: {reason}. "
        f"To look for this very text, escape it: {literal}"
    )
