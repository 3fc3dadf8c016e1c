"""`agent undo`: take back what the assistant wrote."""

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from agent.answer import plain
from agent.exits import Exit

if TYPE_CHECKING:
    from agent.checkpoints import Checkpoints, Undone


def main(argv: Sequence[str]) -> int:
    """Take back writes, newest first; returns 1 when one was refused, else 0."""
    options = _parser().parse_args(argv)
    from agent import checkpoints

    root = Path(options.directory)
    kept = checkpoints.find(root, options.session)
    if kept is None:
        print(plain(f"There is nothing to undo: no session wrote anything in {root.resolve()}."))
        return Exit.OK
    if not kept.standing():
        print(f"There is nothing to undo in session {kept.session_id}.")
        other = next(checkpoints.with_something_to_undo(root), None)
        if other:
            print(f"Session {other} wrote something: agent undo --session {other}")
        return Exit.OK
    count: int | Literal["all"] = "all" if options.all else options.count or 1
    undone = kept.undo(count, dry_run=True) if options.dry_run else _undo(kept, root, count)
    for line in checkpoints.summary(undone, dry_run=options.dry_run):
        print(plain(line))
    return Exit.ERROR if any(one.outcome == "refused" for one in undone) else Exit.OK


def _undo(kept: "Checkpoints", root: Path, count: int | Literal["all"]) -> "list[Undone]":
    """Take back, and say so in the session, where no other process has it open."""
    from agent.journal import reopened

    with reopened(root, kept.session_id) as journal:

        def note(one: "Undone") -> None:
            if journal:
                journal.undone(one.path, one.outcome)

        return kept.undo(count, on_undone=note)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="agent undo",
        description="Take back what the assistant wrote, newest first, byte for byte. "
        "A file that changed since is left alone and named.",
        epilog="Exit code 1: a write was refused. Kept are the newest 200 sessions and 1 GiB.",
        allow_abbrev=False,
    )
    how_many = parser.add_mutually_exclusive_group()
    how_many.add_argument("count", nargs="?", metavar="N", type=_count, help="writes; default: 1")
    how_many.add_argument("--all", action="store_true", help="all writes of the session")
    parser.add_argument("--session", metavar="ID", help="id or its beginning; default: the last")
    parser.add_argument("--dry-run", action="store_true", help="only say what would be done")
    parser.add_argument("-C", "--directory", default=".", help="the codebase; default: here")
    return parser


def _count(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is no whole number of at least 1")
    return int(text)
