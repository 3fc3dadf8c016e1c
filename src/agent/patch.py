"""A change as a unified diff that `git apply` and `patch` understand."""

import difflib
import json
import re
from collections.abc import Iterator

from agent_tools import Change

_LARGEST = 4 << 20
_NO_NEWLINE = "\n\\ No newline at end of file\n"


def unified(change: Change) -> str:
    """The diff, with bytes that are no UTF-8 as `surrogateescape` text; empty for no change."""
    both = (change.old or b"") + (change.new or b"")
    if b"\0" in both or len(both) > _LARGEST:
        kind = "Binary" if b"\0" in both else "Large"
        return f"{kind} file {_name(change.path)} changed\n"
    return "".join(_lines(change))


def _lines(change: Change) -> Iterator[str]:
    old, new = (_split(content or b"") for content in (change.old, change.new))
    before = "/dev/null" if change.old is None else _name(f"a/{change.path}")
    after = "/dev/null" if change.new is None else _name(f"b/{change.path}")
    if not old and not new:
        yield f"--- {before}\n+++ {after}\n"
    for line in difflib.unified_diff(old, new, before, after):
        yield line if line.endswith("\n") else line + _NO_NEWLINE


def _split(content: bytes) -> list[str]:
    """Lines with their ends. Only a line feed ends one: every other character belongs to it."""
    return re.findall(r"[^\n]*\n|[^\n]+", content.decode("utf-8", "surrogateescape"))


def _name(path: str) -> str:
    """The name as it stands in a header, where a tab ends a name with spaces."""
    if not path.isprintable() or '"' in path or "\\" in path:
        return json.dumps(path)
    return f"{path}\t" if " " in path else path
