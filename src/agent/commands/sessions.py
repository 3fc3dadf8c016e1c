"""`agent sessions`: list, show, search, export and delete the sessions of a codebase."""

import argparse
import json
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

from agent import records, sessions, transcript
from agent.answer import plain
from agent.exits import Exit, UsageError
from agent.render import note


def main(argv: Sequence[str]) -> int:
    """Run a subcommand, `list` where none is named; returns the exit code."""
    options = _parser().parse_args(argv, argparse.Namespace(json=False, directory="."))
    root = Path(options.directory)
    if not root.is_dir():
        raise UsageError(f"There is no directory {options.directory!r}.")
    run: Callable[[argparse.Namespace, Path], None] = options.run
    try:
        run(options, root)
    except BrokenPipeError:
        raise
    except OSError as error:
        note(f"agent: {error.filename or sessions.folder(root)}: {error.strerror}.")
        return Exit.ERROR
    return Exit.OK


def _list(options: argparse.Namespace, root: Path) -> None:
    found = list(sessions.summaries(root))
    _rows(found, options.json)
    if not found:
        note(f"There is no session of {root.resolve()} yet.")


def _show(options: argparse.Namespace, root: Path) -> None:
    path = sessions.find(root, options.id)
    if options.json:
        told = [{k: v for k, v in r.items() if k != "messages"} for r in records.read(path)]
        _print_json({"id": path.stem, "records": told})
    else:
        print(transcript.markdown(_title(path), records.read(path)), end="")


def _search(options: argparse.Namespace, root: Path) -> None:
    if not options.text.strip():
        raise UsageError("There is nothing to search for; give a text.")
    found = list(sessions.search(root, options.text))
    _rows(found, options.json)
    if not found:
        note(f"No session of {root.resolve()} contains {options.text!r}.")


def _export(options: argparse.Namespace, root: Path) -> None:
    path = sessions.find(root, options.id)
    write = transcript.html if options.format == "html" else transcript.markdown
    document = write(_title(path), records.read(path))
    if options.output is None:
        print(document, end="")
        return
    try:
        options.output.write_text(document, encoding="utf-8")
    except OSError as error:
        raise UsageError(f"{options.output} cannot be written: {error.strerror}.") from None
    if options.json:
        _print_json({"id": path.stem, "format": options.format, "file": str(options.output)})
    else:
        note(f"Wrote {options.output}.")


def _delete(options: argparse.Namespace, root: Path) -> None:
    from agent.checkpoints import Checkpoints

    if options.all == bool(options.ids):
        raise UsageError("Name the sessions to delete, or give --all for every one of them.")
    named = [sessions.find(root, wanted) for wanted in options.ids]
    files = sessions.paths(root) if options.all else list(dict.fromkeys(named))
    sessions.delete(files)
    for path in files:
        Checkpoints(root, path.stem).discard()
    if options.json:
        _print_json({"deleted": [path.stem for path in files]})
    else:
        note(f"Deleted {len(files)} {'session' if len(files) == 1 else 'sessions'}.")


def _title(path: Path) -> str:
    return f"Session {path.stem}"


def _rows(found: Iterable[Any], as_json: bool) -> None:
    if as_json:
        _print_json([each.as_json() for each in found])
        return
    for each in found:
        print(plain(each.line))


def _print_json(value: object) -> None:
    # In ASCII, so that no character in it can deceive a terminal.
    print(json.dumps(value))


def _parser() -> argparse.ArgumentParser:
    common = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    common.add_argument("--json", action="store_true", default=argparse.SUPPRESS, help="as JSON")
    common.add_argument(
        *("-C", "--directory"), default=argparse.SUPPRESS, help="the codebase; default: here"
    )
    parser = argparse.ArgumentParser(
        prog="agent sessions",
        description="The sessions of a codebase; go on with one by `agent ask -r ID`.",
        epilog="The beginning of an id is enough wherever it names one session.",
        parents=[common],
        allow_abbrev=False,
    )
    parser.set_defaults(run=_list)
    commands = parser.add_subparsers(metavar="command")

    def add(name: str, run: Callable[..., None], meaning: str) -> argparse.ArgumentParser:
        command = commands.add_parser(name, help=meaning, parents=[common], allow_abbrev=False)
        command.set_defaults(run=run)
        return command

    add("list", _list, "the sessions, the latest first")
    add("show", _show, "what happened in a session").add_argument("id", metavar="ID")
    add("search", _search, "find a text in all sessions").add_argument("text", metavar="TEXT")
    export = add("export", _export, "write a session as a document")
    export.add_argument("id", metavar="ID")
    export.add_argument("--format", choices=["md", "html"], default="md", help="default: md")
    export.add_argument(
        "-o", "--output", type=Path, metavar="FILE", help="default: standard output"
    )
    delete = add("delete", _delete, "remove sessions for good, and what undo needs of them")
    delete.add_argument("ids", nargs="*", metavar="ID")
    delete.add_argument("--all", action="store_true", help="all sessions of the codebase")
    return parser
