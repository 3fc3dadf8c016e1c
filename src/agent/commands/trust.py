"""`agent trust`: honour the configuration of a codebase, after showing what is in it."""

import argparse
import json
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from agent import trust
from agent.answer import plain
from agent.configfile import ConfigFile
from agent.exits import AgentError, Exit, UsageError
from agent.settings import Settings, meanings, with_project

# What these can do, in plain words.
_WEIGHTY = {
    "base_url": "your questions and what the assistant reads are SENT THERE (your key is not)",
    "model": "the model that answers; a folder or Hub id is loaded on this machine",
    "adapter": "is loaded on this machine together with the model",
    "mcp": "these programs are STARTED on this machine, or these addresses contacted",
    "extra_tools": "functions of packages installed here, which the model may then call",
    "system_prompt": "replaces what the assistant is told to do",
    "append_system_prompt": "is added to what the assistant is told to do",
}
_NOT_ASKED = "accept-edits: files are written WITHOUT ASKING you"


def main(argv: Sequence[str]) -> int:
    """Run the command; returns the exit code."""
    options = _parser().parse_args(argv)
    if options.list:
        return _list()
    root = Path(options.directory)
    if options.remove:
        # Also for a codebase that is gone.
        known = trust.distrust(root)
        print(f"{_named(root)} is no longer trusted." if known else f"{_named(root)} was not.")
        return Exit.OK
    if not root.is_dir():
        raise UsageError(f"There is no directory {options.directory!r}.")
    return _trust(root, sure=options.yes)


def _trust(root: Path, *, sure: bool) -> int:
    text = trust.read(root)
    if text is None:
        raise UsageError(f"{_named(root)} has no {trust.FILE}, so there is nothing to trust.")
    with_project(Settings(), text)
    print(f"{trust.FILE} in {_named(root)} wants:\n")
    for line in described(text):
        print(line)
    if trust.honoured(root) == text:
        print("\nYou trust it already, exactly as it is.")
        return Exit.OK
    if not sure and not _agreed():
        raise AgentError("Nothing is trusted, nothing in it counts.")
    trust.trust(root, text)
    print("\nTrusted, as long as the file stays as it is. `agent trust --remove` takes it back.")
    return Exit.OK


def described(text: str) -> Iterator[str]:
    """What a configuration file would change, one line each, nothing left out."""
    values = ConfigFile(text, trust.FILE).values
    if not values:
        yield "  nothing: the file sets nothing"
    for key, value in values.items():
        name = key.replace("-", "_")
        if name == "permissions":
            yield from _described_rules(value)
            continue
        yield f"  {key} = {_shown(value)}"
        if name == "permission_mode" and value == "accept-edits":
            yield f"      ! {_NOT_ASKED}"
        elif name in _WEIGHTY:
            yield f"      ! {_WEIGHTY[name]}"
        else:
            yield f"      {meanings()[name]}"


def _described_rules(table: dict[str, Any]) -> Iterator[str]:
    for kind, patterns in table.items():
        for pattern in patterns:
            yield f"  permissions: {kind} {_shown(pattern)}"
        if kind == "allow" and patterns:
            yield "      ! these calls are made WITHOUT ASKING you"


def _shown(value: object) -> str:
    """The value on one line; a character that could deceive the reader is written as its code."""
    text = json.dumps(value, ensure_ascii=False, default=str)
    if text.isascii() or (text.isprintable() and not _is_short(value)):
        return text.replace("\x7f", "\\u007f")
    return json.dumps(value, default=str)


def _is_short(value: object) -> bool:
    """A name or an address, where one letter that looks like another matters."""
    return not (isinstance(value, str) and " " in value)


def _agreed() -> bool:
    from agent.terminal import read_line

    if not (sys.stdin.isatty() and sys.stdout.isatty()):
        raise AgentError("Nobody can be asked here; read the above, then give --yes.")
    print("\nHonour all of this whenever you work in this codebase? [y/N] ", end="", flush=True)
    return read_line().lower() in ("y", "yes")


def _list() -> int:
    for name in trust.remembered():
        root = Path(name)
        if trust.is_trusted(root):
            state = "in force"
        elif (root / trust.FILE).exists():
            state = "changed since, not honoured"
        else:
            state = "gone"
        print(f"{plain(name)}\t{state}")
    return Exit.OK


def _named(root: Path) -> str:
    return plain(str(root.resolve()))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="agent trust",
        description=f"Honour a codebase's own {trust.FILE}. It is shown first, and trusted only as "
        "it is: when it changes, nothing in it counts until it is trusted again.",
        allow_abbrev=False,
    )
    parser.add_argument("directory", nargs="?", default=".", help="the codebase; default: here")
    what = parser.add_mutually_exclusive_group()
    what.add_argument("--yes", action="store_true", help="do not ask")
    what.add_argument("--list", action="store_true", help="list what is trusted")
    what.add_argument("--remove", action="store_true", help="trust this codebase no longer")
    return parser
