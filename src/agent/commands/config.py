"""`agent config`: every setting, its value, where it came from and what it means."""

import argparse
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from agent import settings, trust
from agent.answer import plain
from agent.cli import FLAGS
from agent.exits import Exit, UsageError


def main(argv: Sequence[str]) -> int:
    """Run the command; returns the exit code.

    Raises:
        UsageError: a configuration file, variable or flag is wrong.
    """
    options = _parser().parse_args(argv)
    root = Path(options.directory)
    if not root.is_dir():
        raise UsageError(f"There is no directory {options.directory!r}.")
    given = {name: value for name in FLAGS if (value := getattr(options, name)) is not None}
    merged = settings.load(given, root=root)
    _check_rules(merged)
    rows = settings.explain(merged)
    if options.json:
        print(json.dumps([row._asdict() for row in rows], indent=1))
        return Exit.OK
    print(f"user file: {plain(str(settings.user_file()))} ({_state_of_user_file()})")
    print(f"codebase:  {trust.FILE} ({_state_of_project_file(root)})\n")
    for row in rows:
        print(f"{row.name} = {_text(row.value)}  ({plain(row.origin)})\n    {row.meaning}")
    return Exit.OK


def _check_rules(merged: settings.Settings) -> None:
    from agent_tools import TOOLS

    servers = {server.name for server in merged.mcp}
    names = (*(tool.__name__ for tool in TOOLS), *merged.extra_tools)
    merged.rules.check(names, lambda name: name.split("_", 1)[0] in servers)


def _state_of_user_file() -> str:
    return "read" if settings.user_file().exists() else "absent"


def _state_of_project_file(root: Path) -> str:
    if trust.is_trusted(root):
        return "trusted"
    return "not trusted, nothing in it counts" if trust.notice(root) else "absent"


def _text(value: Any) -> str:
    if value is None:
        return "none"
    if isinstance(value, list):
        return plain(", ".join(value)) or "none"
    return plain(value).replace("\n", "\\n") if isinstance(value, str) else str(value)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="agent config",
        description="Show every setting and where it came from: default < user file < trusted "
        "file of the codebase < AGENT_* < flag.",
        allow_abbrev=False,
    )
    parser.add_argument("-C", "--directory", default=".", help="the codebase; default: here")
    parser.add_argument("--json", action="store_true", help="as a JSON list")
    meanings = settings.meanings()
    for name in FLAGS:
        parser.add_argument(f"--{name.replace('_', '-')}", metavar="VALUE", help=meanings[name])
    return parser
