"""Globs as `.gitignore` and ripgrep read them, as one regular expression that need not backtrack.

ripgrep's own `--glob` is not used because it overrides `.gitignore`.
"""

import re
from collections.abc import Callable
from itertools import pairwise

from agent_tools.errors import ToolError
from agent_tools.workspace import Workspace, outside

_MAX_ALTERNATIVES = 64
_MAX_DEEP = 4


def from_root(workspace: Workspace, glob: str) -> str:
    """A glob relative to the root, also when written as an absolute path.

    Raises:
        ToolError: it points outside the root.
    """
    if ".." in glob.split("/"):
        raise outside(glob)
    if not glob.startswith("/"):
        return glob
    root = str(workspace.root).rstrip("/")
    if f"{glob}/".startswith(f"{root}/"):
        return glob[len(root) + 1 :] or "."
    # `/src` is how .gitignore writes a path from the root.
    return glob[1:]


def matcher(glob: str, *, ignore_case: bool = False) -> Callable[[str], bool]:
    """A test of `/`-separated relative paths against a glob; a leading `!` turns it around.

    Without a slash the glob matches at any depth.

    Raises:
        ToolError: the glob is malformed.
    """
    wanted = not glob.startswith("!")
    bare = glob.removeprefix("!").removeprefix("./")
    anchored = "/" in bare
    bare = bare.removeprefix("/")
    expressions = []
    for alternative in _braces(bare):
        deep = alternative if anchored else f"**/{alternative}"
        expressions.append(_expression(deep))
    flags = re.DOTALL | (re.IGNORECASE if ignore_case else 0)
    try:
        matches = re.compile("|".join(expressions), flags).fullmatch
    except re.error:
        raise ToolError(f"The glob {glob} is malformed.") from None
    return lambda path: (matches(path) is not None) == wanted


def is_literal(glob: str) -> bool:
    """Whether the glob is a plain name or path."""
    return not re.search(r"[*?\[{!\\]", glob)


def _braces(glob: str) -> list[str]:
    """`{a,b}` written out."""
    opening = glob.find("{")
    if opening < 0:
        return [glob]
    depth, start, pieces = 0, opening + 1, []
    for at in range(opening, len(glob)):
        if glob[at] == "{":
            depth += 1
        elif glob[at] == "}":
            depth -= 1
        if depth == 0 or (depth == 1 and glob[at] == ","):
            pieces.append(glob[start:at])
            start = at + 1
        if depth == 0:
            break
    else:
        raise ToolError(f"The glob {glob} has an unclosed brace.")
    written = [f"{glob[:opening]}{p}{tail}" for p in pieces for tail in _braces(glob[at + 1 :])]
    every = [one for text in written for one in _braces(text)]
    if len(every) > _MAX_ALTERNATIVES:
        raise ToolError(f"The glob has more than {_MAX_ALTERNATIVES} alternatives.")
    return every


def _expression(glob: str) -> str:
    components = [c for c in glob.split("/") if c not in ("", ".")]
    if glob.endswith("/") or not components:
        components.append("**")
    # Two neighbouring `**` say no more than one.
    components = [c for c, following in pairwise([*components, ""]) if c != "**" or following != c]
    if components.count("**") > _MAX_DEEP:
        raise ToolError(f"The glob has more than {_MAX_DEEP} `**`.")
    *before, last = components
    text = "".join("(?:[^/]+/)*" if c == "**" else f"{_component(c)}/" for c in before)
    return text + (".+" if last == "**" else _component(last))


def _component(glob: str) -> str:
    # Between two stars the first place that fits is as good as any, so the group may be atomic.
    first, *rest = [_without_stars(part) for part in re.split(r"\*+", glob)]
    if not rest:
        return first
    *middle, last = rest
    return first + "".join(f"(?>[^/]*?{part})" for part in middle) + f"[^/]*{last}"


def _without_stars(glob: str) -> str:
    def translate(found: re.Match[str]) -> str:
        token = found.group()
        if token == "?":
            return "[^/]"
        if len(token) > 2 and token[0] == "[":
            inside = token[1:-1].replace("\\", "\\\\").replace("[", "\\[")
            negated = inside[0] in "!^"
            return f"[^/{inside[1:]}]" if negated else f"(?!/)[{inside}]"
        return re.escape(token[-1] if token[0] == "\\" else token)

    return re.sub(r"\[[!^]?\]?[^\]]*\]|\\.|.", translate, glob, flags=re.DOTALL)
