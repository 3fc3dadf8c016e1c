"""`agent diff`: what the assistant changed in a session."""

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from agent.answer import plain
from agent.exits import Exit

_COLOURS = {"+": "\x1b[32m", "-": "\x1b[31m", "@": "\x1b[36m"}
_BOLD, _RESET = "\x1b[1m", "\x1b[0m"


def main(argv: Sequence[str]) -> int:
    """Show the changes that were not taken back, as a unified diff; returns 0."""
    options = _parser().parse_args(argv)
    from agent import checkpoints

    kept = checkpoints.find(Path(options.directory), options.session)
    text = kept.diff() if kept else ""
    if not text:
        print("The assistant changed nothing that still stands.", file=sys.stderr)
    elif sys.stdout.isatty():
        lines = plain(text).removesuffix("\n").split("\n")
        print("\n".join(map(_coloured, lines) if _has_colours() else lines))
    else:
        sys.stdout.buffer.write(text.encode("utf-8", "surrogateescape"))
    return Exit.OK


def _has_colours() -> bool:
    return not os.environ.get("NO_COLOR") and os.environ.get("TERM", "dumb") != "dumb"


def _coloured(line: str) -> str:
    colour = _BOLD if line.startswith(("+++", "---")) else _COLOURS.get(line[:1])
    return f"{colour}{line}{_RESET}" if colour else line


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="agent diff",
        description="Show what the assistant changed and what was not taken back. "
        "Elsewhere than on a terminal it is a patch: agent diff | git apply -R",
        allow_abbrev=False,
    )
    parser.add_argument("--session", metavar="ID", help="id or its beginning; default: the last")
    parser.add_argument("-C", "--directory", default=".", help="the codebase; default: here")
    return parser
