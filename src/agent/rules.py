"""Rules such as `edit_file(src/**)`: which tool and which path a permission is about.

A path is read as `.gitignore` reads it (a name without a slash counts at any depth) and covers
everything below it. What denies or asks is read widely: in any case and Unicode spelling, by the
path as written as well as by the real one, and for neighbouring tools too (see `_ALSO`). What
allows is read narrowly: this tool, the real path, letter for letter.
"""

import re
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass
from fnmatch import fnmatchcase
from functools import cache
from pathlib import Path
from typing import Any

from agent.configfile import ConfigFile
from agent.exits import UsageError

KINDS = ("allow", "ask", "deny")
# A path closed to the first is closed to the others: they show its content, or change it.
_ALSO = {
    "read_file": ("grep", "edit_file", "php_lint"),
    "edit_file": ("write_file",),
    "write_file": ("edit_file",),
}
_RULE = re.compile(r"(?P<tool>[\w*?-]+)(?:\((?P<glob>.+)\))?", re.DOTALL)
_MAGIC = re.compile(r"[*?\[{\\]")


@dataclass(frozen=True)
class Where:
    """The paths of a call: as the model wrote it, and the real one; None where it is not known.

    `below` says that the call also reads everything under the path.
    """

    written: str | None
    real: str | None
    below: bool = False


@dataclass(frozen=True)
class Rule:
    """One pattern: a tool (or a glob of tools) and, perhaps, a glob of paths."""

    tool: str
    glob: str | None

    def names(self, tool: str, *, widely: bool = False) -> bool:
        """Whether the rule is about a tool; `widely`: also as a neighbour of the one named."""
        if fnmatchcase(tool, self.tool):
            return True
        others = [name for name, also in _ALSO.items() if tool in also]
        return widely and self.glob is not None and any(map(self.names, others))

    def allows(self, tool: str, where: Where) -> bool:
        """Whether an `allow` rule covers the call."""
        if self.glob is None or not self.names(tool):
            return self.names(tool)
        return where.real is not None and _matcher(self.glob)(where.real)

    def forbids(self, tool: str, where: Where) -> bool:
        """Whether a `deny` rule covers the call; a path that is not known may be any."""
        if self.glob is None or not self.names(tool, widely=True):
            return self.names(tool)
        known = [path for path in (where.written, where.real) if path is not None]
        return not known or any(map(self.covers, known))

    def minds(self, tool: str, where: Where) -> bool:
        """Whether an `ask` rule covers the call, or something that the call reads on its way."""
        if self.forbids(tool, where):
            return True
        return where.below and self.names(tool, widely=True) and self._reaches(where)

    def covers(self, path: str) -> bool:
        """Whether a path is closed by this rule, however it is spelt."""
        return self.glob is not None and _matcher(_folded(self.glob))(_folded(path))

    def _reaches(self, where: Where) -> bool:
        if self.glob is None or "/" not in self.glob:
            return self.glob is not None
        fixed = _folded(literal_part(self.glob)).split("/")
        start = [part for part in _folded(where.real or ".").split("/") if part != "."]
        return all(mine == theirs for mine, theirs in zip(fixed, start, strict=False) if mine)


@dataclass(frozen=True)
class Rules:
    """What the user permits, beyond the permission mode: deny beats ask beats allow."""

    allow: tuple[str, ...] = ()
    ask: tuple[str, ...] = ()
    deny: tuple[str, ...] = ()

    def __add__(self, other: "Rules") -> "Rules":
        return Rules(*(
            tuple(dict.fromkeys((*getattr(self, kind), *getattr(other, kind)))) for kind in KINDS
        ))  # fmt: skip

    def verdict(self, tool: str, where: Where) -> str | None:
        """`deny`, `ask` or `allow`; None where no rule speaks."""
        if any(parse(rule).forbids(tool, where) for rule in self.deny):
            return "deny"
        if any(parse(rule).minds(tool, where) for rule in self.ask):
            return "ask"
        if any(parse(rule).allows(tool, where) for rule in self.allow):
            return "allow"
        return None

    def closed_to(self, tool: str) -> Callable[[str], bool] | None:
        """The test of paths that a tool may never touch; None where there is none."""
        rules = [rule for rule in map(parse, self.deny) if rule.names(tool, widely=True)]
        if not any(rule.glob for rule in rules):
            return None
        return cache(lambda path: any(rule.covers(path) for rule in rules))

    def check(
        self, names: Collection[str], offers: Callable[[str], bool] = lambda name: False
    ) -> None:
        """Refuse a rule that is about no tool, so that a slip of the pen denies or asks nothing.

        `offers` says whether a tool that is not among `names` may still turn up.

        Raises:
            UsageError: there is such a rule.
        """
        for kind in KINDS:
            for text in getattr(self, kind):
                rule = parse(text)
                if not any(map(rule.names, names)) and not offers(rule.tool):
                    raise UsageError(
                        f"permissions.{kind}: {text!r} names no tool; "
                        f"the tools are {', '.join(names)}."
                    )


@cache
def parse(text: str) -> Rule:
    """The rule that a pattern such as `grep`, `edit_file(src/**)` or `*(secrets/**)` means.

    Raises:
        ValueError: it is no pattern, or one that can match nothing; the message says why.
    """
    found = _RULE.fullmatch(text.strip())
    if found is None:
        raise ValueError("must look like edit_file or edit_file(src/**)")
    glob = found["glob"]
    return Rule(found["tool"], None if glob is None else _usable(glob.strip()))


def parse_all(value: object, kind: str) -> tuple[str, ...]:
    """The patterns of a list in a configuration file; raises ValueError as `parse` does."""
    if not isinstance(value, list | tuple) or not all(isinstance(item, str) for item in value):
        raise ValueError("must be a list of texts such as edit_file(src/**)")
    for text in value:
        try:
            rule = parse(text)
        except ValueError as error:
            raise ValueError(f"holds {text!r}, which {error}") from None
        if kind == "allow" and (why := _never(rule)):
            raise ValueError(f"holds {text!r}, which can match nothing: {why}")
    return tuple(value)


def of_file(file: ConfigFile, root: Path | None = None) -> Rules:
    """The rules in `[permissions]` of a file and in its `[permissions."/a/codebase"]` for `root`.

    Raises:
        UsageError: a table, key or pattern is wrong, also one that is for another codebase.
    """
    rules = Rules()
    for keys, table in _tables(file):
        lists = {}
        for kind, value in table.items():
            if kind.startswith("/") and len(keys) == 1:
                continue
            if kind not in KINDS:
                known = ", ".join(KINDS)
                raise file.wrong((*keys, kind), f"permissions has no key {kind!r}, only {known}.")
            try:
                lists[kind] = parse_all(value, kind)
            except ValueError as error:
                raise file.wrong((*keys, kind), f"permissions.{kind} {error}.") from None
        if len(keys) == 1 or (root is not None and keys[1] == str(root.resolve())):
            rules += Rules(**lists)
    return rules


def _tables(file: ConfigFile) -> Iterator[tuple[tuple[str, ...], dict[str, Any]]]:
    table = file.values.get("permissions", {})
    found: list[tuple[tuple[str, ...], Any]] = [(("permissions",), table)]
    if isinstance(table, dict):
        found += [(("permissions", key), table[key]) for key in table if key.startswith("/")]
    for keys, one in found:
        if not isinstance(one, dict):
            raise file.wrong(keys, f"{keys[-1]!r} must be a table.")
        yield keys, one


def for_path(tool: str, path: str) -> str:
    """The narrowest pattern that covers a path."""
    # A brace cannot be escaped in a glob; `?` is any one character.
    escaped = re.sub(r"([*?!\[\]\\])", r"\\\1", path).replace("{", "?")
    return f"{tool}({escaped})"


def literal_part(glob: str) -> str:
    """The directories at the start of a glob that are written out; a plain path is all of it."""
    parts = glob.split("/")
    plain = next((n for n, part in enumerate(parts) if _MAGIC.search(part)), len(parts))
    return "/".join(parts[:plain])


def _usable(glob: str) -> str:
    if not glob or "\0" in glob or "\n" in glob:
        raise ValueError("has an empty or broken path")
    if ".." in glob.split("/"):
        raise ValueError("can match nothing: real paths have no `..`")
    if glob.startswith(("/", "~")):
        raise ValueError("can match nothing: paths are relative to the codebase")
    if glob.startswith("!"):
        raise ValueError("must not be turned around with `!`; use deny or allow")
    glob = glob.removeprefix("./").rstrip("/") or "**"
    _matcher(glob)
    return glob


def _never(rule: Rule) -> str | None:
    from agent_tools.policy import is_never_written, is_secret

    fixed = literal_part(rule.glob or "")
    if fixed and is_secret(fixed):
        return "no tool opens what may hold secrets"
    writes = ("write_file", "edit_file")
    if fixed and is_never_written(fixed) and any(map(rule.names, writes)):
        return "no tool writes there"
    return None


@cache
def _matcher(glob: str) -> Callable[[str], bool]:
    from agent_tools import ToolError, globs

    if glob.endswith("/**"):
        covered = (f"/{glob[:-3]}", glob)
    else:
        covered = (glob, f"{glob}/**" if "/" in glob else f"**/{glob}/**")
    try:
        tests = [globs.matcher(one) for one in covered]
    except ToolError as error:
        raise ValueError(f"is no glob: {error}") from None
    return lambda path: any(test(path) for test in tests)


def _folded(text: str) -> str:
    from agent_tools.policy import folded

    return folded(text)
