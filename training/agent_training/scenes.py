"""Questions about small codebases that are written down whole, answered by really using the tools.

A scene (`scene_*.jsonl`) is a few short files and what people ask about them. Where the question
wants something particular, the answer stands with it (`a`) and the piece of a line that proves it
(`see`): it is given only after a result has shown that line, and cites its place. All other answers
are made from the results, as for real codebases.
"""

from __future__ import annotations

import random
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from agent_training import patterns, results
from agent_training.asked import call_of, typed
from agent_training.asking import Row, make_row
from agent_training.intents import INTENTS, changes, documents, listings
from agent_training.mine import Codebase
from agent_training.oracle import Executor, Run, Unusable
from agent_training.phrasing import Asked, Scene

CHANGES = ("edit", "change")
MISSING = 0.06
"""How many of the changes are asked of a codebase that lacks their file."""
_SLOT = {"name": "symbol", "path": "file", "text": "string"}
_SLOTS = {
    "kind": {"name": "kind"},
    "importers": {"name": "module"},
    "write": {"path": "newfile"},
    "find": {"glob": "filename"},
}
_IN_MANIFEST = {"license": patterns.LICENSED, "about": patterns.DESCRIBED}


def rows(scene: Scene, copies: int, seed: int) -> list[Row]:
    """Each question `copies` times, each typed a little differently, with its dialogue.

    Raises ValueError naming a question that the tools' results do not answer.
    """
    made: list[Row] = []
    with tempfile.TemporaryDirectory() as whole, tempfile.TemporaryDirectory() as lacking:
        for path, text in scene.files.items():
            _lay(Path(whole, path), text)
        here, nowhere = (Codebase("scene", Path(root)) for root in (whole, lacking))
        known: dict[str, str] = {}
        for ask in scene.asks:
            for number in range(copies):
                rng = random.Random(f"{seed} {ask.question} {number}")
                missing = number > 0 and ask.do in CHANGES and rng.random() < MISSING
                code, memory = (nowhere, {}) if missing else (here, known)
                run = Run(code, slots(ask), Executor(code, memory), question=ask.question)
                try:
                    run.answer = _answer(run, ask, scene)
                except Unusable as error:
                    raise ValueError(f"{ask.question!r}: {error}") from None
                turn = run.messages(typed(ask, rng) if number else ask.question)
                intent = f"scene:{ask.do}"
                made.append(make_row(turn, intent, "hand-written", ask.family, "tool"))
    return made


def _lay(file: Path, text: str) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text, encoding="utf-8")


def slots(ask: Asked) -> dict[str, str]:
    """The fields under the names that answers look for."""
    fields = {name: str(value) for name, value in ask.fields.items()}
    found = {_SLOT.get(name, name): value for name, value in fields.items()}
    if "file" in found:
        found["file"] = found["file"].rstrip("/")
    for name, slot in _SLOTS.get(ask.do, {}).items():
        found[slot] = fields[name].removeprefix("**/")
    return found


def _answer(run: Run, ask: Asked, scene: Scene) -> str:
    if "see" in ask.fields:
        return _proved(run, ask, scene)
    if ask.do == "change":
        return changes.change_line(run)
    counted = f"{ask.do} count" if ask.fields.get("count") else ask.do
    make = _OWN.get(counted) or INTENTS.get(_INTENT.get(counted, counted))
    if make is None:
        raise Unusable(f"{counted} needs an answer")
    said = make(run)
    tool, arguments, _ = run.calls[0]
    if (tool, arguments) != call_of(ask):
        raise Unusable(f"{ask.do} begins with {tool} {arguments}, not {call_of(ask)}")
    return said


def _proved(run: Run, ask: Asked, scene: Scene) -> str:
    """The first call, then the file with the proof if the result only names it."""
    see = ask.fields["see"]
    tool, arguments = call_of(ask)
    result = run.call(tool, **arguments)
    if meant := results.meant(result):
        arguments = arguments | {"path": meant}
        result = run.call(tool, **arguments)
    if ask.do in _IN_MANIFEST and result.startswith("No files"):
        result = run.call("grep", pattern=_IN_MANIFEST[ask.do], glob=patterns.MANIFESTS)
    seen = results.showing(result, see)
    if seen is None:
        home = next(path for path, text in scene.files.items() if see in text)
        result = run.call("read_file", **_reading(home, see, result, scene))
        seen = results.showing(result, see)
    if seen is None:
        raise Unusable(f"no result shows {see!r}")
    return f"{ask.fields['a'].strip().rstrip('.')} ({seen.place})."


def _reading(home: str, see: str, result: str, scene: Scene) -> dict[str, Any]:
    """The arguments that read on where the result points to. Raises Unusable if it does not."""
    total, shown = results.files(result)
    if total and home in shown:
        return {"path": home}
    hits = [hit for hit in results.matches(result).hits if hit.path == home]
    if not hits:
        raise Unusable(f"the result does not lead to {home}")
    proof = 1 + scene.files[home][: scene.files[home].index(see)].count("\n")
    start = max((hit.line for hit in hits if hit.line <= proof), default=1)
    return {"path": home} | ({"start": start} if start > 1 else {})


def _file(run: Run) -> str:
    glob = run.slots["filename"]
    what = f"file that matches `{glob}`" if "*" in glob else f"file named `{glob}`"
    return listings.files_of(run, glob, what)


def _shown(run: Run) -> str:
    if "start" not in run.slots and "end" not in run.slots:
        return documents.read(run)
    run.slots.setdefault("line", run.slots.get("start", "1"))
    run.slots.setdefault("line2", run.slots.get("end", ""))
    if run.slots["line"] == run.slots["line2"]:
        return documents.read_line(run)
    return documents.read_lines(run)


def _linted(run: Run) -> str:
    return changes.lint_file(run) if "file" in run.slots else changes.lint_all(run)


_OWN: dict[str, Callable[[Run], str]] = {
    "find": _file,
    "find count": _file,
    "read": _shown,
    "lint": _linted,
    "interfaces count": listings.counter("interface"),
}
_INTENT = {
    "usages count": "count_usages",
    "subclasses count": "count_subclasses",
    "kind": "list_kind",
    "kind count": "count_kind",
    "classes": "list_classes",
    "classes count": "count_classes",
    "functions": "list_functions",
    "functions count": "count_functions",
    "interfaces": "list_interfaces",
    "tests": "list_tests",
    "tests count": "count_tests",
    "todos": "list_todos",
    "todos count": "count_todos",
    "env": "list_env",
    "env count": "list_env",
    "routes count": "routes",
    "commands": "cli_commands",
    "commands count": "cli_commands",
    "edit": "edit_replace",
    "write": "write_text",
    "runtime": "runtime_version",
    "readme": "about",
}
"""What `do` names (and ` count` where a number is asked), to an intent of another name."""
