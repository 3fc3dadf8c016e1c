"""Questions written with their first call, about codebases that exist in the question alone.

A frame has slots and is asked of real code; such a line (`asked_*.jsonl`) says what a person would
really say, and teaches the first step only: nothing is executed, no result is made up.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

from agent_training import patterns
from agent_training.oracle import calling
from agent_training.phrasing import Asked, accidents

Call = tuple[str, dict[str, Any]]


def _grep(pattern: str, line: Asked, **more: str) -> Call:
    where = {"path": line.fields["path"].rstrip("/")} if line.fields.get("path") else {}
    return "grep", {"pattern": pattern, **where, **more}


def _named(pattern: Callable[[str], str]) -> Callable[[Asked], Call]:
    return lambda line: _grep(pattern(patterns.tail(line.fields["name"])), line)


def _fixed(pattern: str, **more: str) -> Callable[[Asked], Call]:
    return lambda line: _grep(pattern, line, **more)


def _files(glob: str) -> Callable[[Asked], Call]:
    return lambda _: ("find_files", {"glob": glob})


def _read(line: Asked) -> Call:
    numbers = {k: line.fields[k] for k in ("start", "end") if line.fields.get(k, 1) not in (0, 1)}
    return "read_file", {"path": line.fields["path"], **numbers}


def _of(tool: str, *names: str) -> Callable[[Asked], Call]:
    return lambda line: (tool, {name: line.fields[name] for name in names})


CALLS: dict[str, Callable[[Asked], Call]] = {
    "words": lambda line: _grep(patterns.words(line.fields["words"]), line),
    "define": _named(patterns.define),
    "usages": _named(patterns.usages),
    "subclasses": _named(patterns.subclasses),
    "importers": lambda line: _grep(patterns.importers(line.fields["name"]), line),
    "text": lambda line: _grep(patterns.literal(line.fields["text"]), line),
    "kind": lambda line: _grep(patterns.kind(line.fields["name"]), line),
    "read": _read,
    "find": lambda line: ("find_files", {"glob": line.fields["glob"].removeprefix("**/")}),
    "lint": lambda line: ("php_lint", {"path": line.fields.get("path", ".").rstrip("/")}),
    "edit": _of("edit_file", "path", "old", "new"),
    "write": _of("write_file", "path", "content"),
    "classes": _fixed(patterns.CLASSES),
    "functions": _fixed(patterns.FUNCTIONS),
    "interfaces": _fixed(patterns.INTERFACES),
    "tests": _fixed(patterns.TESTS),
    "todos": _fixed(patterns.TODOS),
    "env": _fixed(patterns.ENVIRONMENT),
    "routes": _fixed(patterns.ROUTES),
    "commands": _fixed(patterns.COMMANDS),
    "dependencies": _fixed(patterns.DEPENDENCIES, glob=patterns.MANIFESTS),
    "version": _fixed(patterns.VERSION, glob=patterns.MANIFESTS),
    "authors": _fixed(patterns.AUTHORS, glob=patterns.MANIFESTS),
    "runtime": _fixed(patterns.RUNTIME, glob=patterns.MANIFESTS),
    "install": _fixed(patterns.INSTALL, glob=patterns.GUIDES),
    "about": _files(patterns.README),
    "readme": _files(patterns.README),
    "license": _files(patterns.LICENSE),
    "changelog": _files(patterns.CHANGELOG),
    "tasks": _files(patterns.TASKS),
}
"""What `do` names, to the canonical call."""


def call_of(line: Asked) -> Call:
    """Raises ValueError where the line lacks a field or names something unknown to `CALLS`."""
    try:
        return CALLS[line.do](line)
    except KeyError as missing:
        raise ValueError(f"{line.question!r}: {line.do} lacks or is {missing}") from None


def first_step(line: Asked) -> dict[str, Any]:
    """The message that makes the call. Raises ValueError as `call_of`."""
    return calling(*call_of(line))


def typed(line: Asked, rng: random.Random) -> str:
    """The question as somebody in a hurry types it; every word stays, for the call copies them."""
    if "\n" in line.question or "`" in line.question or line.do in ("edit", "write"):
        return line.question
    return accidents([line.question], rng, gentle=True)[0]
