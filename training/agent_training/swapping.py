"""Copying practice: the same dialogue with other names, or other text, in all its turns.

A small model must learn to copy whatever stands in the question or in a result, not the few
thousand names that it has seen.
"""

from __future__ import annotations

import json
import random
import re
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any

from agent_training.names import COMMON, NAME, another, invented, kind_of, whole
from agent_training.noise import distracted, plain_words

Row = dict[str, Any]
Change = Callable[[str], str]

# How often a path loses its folders: people ask about files at the root more than about others.
AT_THE_ROOT = 0.3
_PATH = re.compile(r"(?:[\w-]+/)*[\w-]+\.[A-Za-z]\w*")
_HIT = re.compile(r"^[^\n:]+:\d+: *(\S[^\n]{3,70})$", re.MULTILINE)
_TEXTS = ("content", "old", "new")


@dataclass(frozen=True)
class Material:
    """What new names, texts and accidents are made of."""

    names: dict[str, list[str]]
    """By kind."""
    lines: list[str]
    """Of code."""
    pieces: Sequence[str]
    """Of words."""
    words: list[str]
    """Plain ones of the questions."""


def practise(
    rows: list[Row], share: float, seed: int,
    pieces: Sequence[str] = (), asides: Sequence[str] = (),
) -> Iterator[Row]:  # fmt: skip
    """Each row as it is, or, for a random `share` of the tool dialogues, a variant of it.

    A variant ends with the first call and asks for another name or text, or (one in six) is whole
    and has its names and paths replaced in every turn. `pieces`: of words, for names that exist
    nowhere. With `asides` some questions get a remark or a slip of the pen, see `noise`.
    """
    rng = random.Random(seed)
    material = gather(rows, pieces)
    for row in rows:
        if asides:
            row = _distracted(row, material, asides, rng)
        first = _first_call(row)
        if first is None or rng.random() >= share:
            yield row
            continue
        turns = row["messages"]
        change = _renaming(turns, first, material, rng)
        if rng.random() < 1 / 6:
            yield row | {"messages": _changed(turns, change)}
            continue
        turns = turns[: first + 1]
        texts = _texts(turns, material, rng)
        yield row | {"messages": _changed(turns, lambda text: texts(change(text)))}  # noqa: B023


def _distracted(row: Row, material: Material, asides: Sequence[str], rng: random.Random) -> Row:
    turns = row["messages"]
    asked = max(i for i, turn in enumerate(turns) if turn["role"] == "user")
    first = _first_call(row)
    kept = "" if first is None else turns[first]["tool_calls"][0]["function"]["arguments"]
    made = distracted(turns[asked]["content"], kept, material.words, asides, rng)
    return row | {
        "messages": [*turns[:asked], {"role": "user", "content": made}, *turns[asked + 1 :]]
    }


def variants(
    rows: list[Row], share: float, copies: int, drills: int,
    pieces: Sequence[str], asides: Sequence[str] = (),
) -> Iterator[Row]:  # fmt: skip
    """Every row `copies` times, each time practised anew.

    Questions that quote a text to write or edit come `drills` times more: nothing copies so much.
    """
    quoting = [row for row in rows if _quotes(row)]
    for seed in range(copies):
        yield from practise(rows, share, seed, pieces, asides)
        for extra in range(1, drills + 1):
            yield from practise(quoting, 1.0, seed + 1000 * extra, pieces, asides)


def _quotes(row: Row) -> bool:
    first = _first_call(row)
    if first is None:
        return False
    question = row["messages"][first - 1]["content"] or ""
    arguments = _arguments(row["messages"][first])
    return any(value and value in question for k, value in arguments.items() if k in _TEXTS)


def gather(rows: Sequence[Row], pieces: Sequence[str]) -> Material:
    """The names that questions and calls share, and short lines of code from the results."""
    names: dict[str, set[str]] = defaultdict(set)
    lines: set[str] = set()
    for row in rows:
        first = _first_call(row)
        if first is None:
            continue
        if name := _copied(row["messages"][: first + 1]):
            names[kind_of(name) or ""].add(name)
        for turn in row["messages"][first:]:
            if turn["role"] == "tool" and len(lines) < 50_000:
                lines.update(line for line in _HIT.findall(turn["content"]) if "`" not in line)
    by_kind = {kind: sorted(found) for kind, found in names.items()}
    asked = [turn["content"] for row in rows for turn in row["messages"] if turn["role"] == "user"]
    return Material(by_kind, sorted(lines), pieces, plain_words(asked))


def _first_call(row: Row) -> int | None:
    calls = (i for i, turn in enumerate(row["messages"]) if turn.get("tool_calls"))
    return next(calls, None)


def _arguments(turn: Row) -> dict[str, Any]:
    arguments: dict[str, Any] = json.loads(turn["tool_calls"][0]["function"]["arguments"])
    return arguments


def _copied(turns: list[Row]) -> str | None:
    """The longest name of the question that stands in the call's arguments too."""
    values = "\n".join(v for v in _arguments(turns[-1]).values() if isinstance(v, str))
    names = set(NAME.findall(turns[-2]["content"] or "")) - COMMON
    copied = [n for n in names if kind_of(n) and whole(n).search(values)]
    return max(copied, key=len, default=None)


def _renaming(turns: list[Row], first: int, material: Material, rng: random.Random) -> Change:
    """Another name for the one asked about, and for every folder and file that answers cite."""
    new: dict[str, str] = {}
    name = _copied(turns[: first + 1])
    if name is not None:
        alike = material.names.get(kind_of(name) or "", [name])
        new[name] = another(name, alike, material.pieces, rng)
        call = turns[first]["tool_calls"][0]["function"]["name"]
        if call not in {"grep", "find_files"} and rng.random() < AT_THE_ROOT:
            new[name] = PurePosixPath(new[name]).name
    if material.pieces:
        taken = set(re.findall(r"\w+", turns[first - 1]["content"] or "")) | COMMON
        said = "\n".join(turn["content"] or "" for turn in turns[first:] if turn["role"] != "tool")
        cited = _PATH.findall(said)
        parts = {part for path in cited for part in path.rpartition(".")[0].split("/")}
        for part in sorted(parts - taken):
            if len(part) > 3:
                new[part] = invented(part, material.pieces, rng)
    if not new:
        return lambda text: text
    # In one pass, longest first: a new name must not be renamed again.
    ordered = sorted(new, key=len, reverse=True)
    either = re.compile("|".join(whole(old).pattern for old in ordered), re.ASCII)
    return lambda text: either.sub(lambda match: new[match[0]], text)


def _texts(turns: list[Row], material: Material, rng: random.Random) -> Change:
    """Other text in place of what is to be written or edited, where the question quotes it."""
    question = turns[-2]["content"] or ""
    old = [v for k, v in _arguments(turns[-1]).items() if k in _TEXTS and v and v in question]
    if not old or not material.lines or not material.pieces or rng.random() < 0.2:
        return lambda text: text
    fresh = _fresh(material, rng)
    new = {text: fresh for text in old[:1]}
    for text in old[1:]:
        other = invented(fresh, material.pieces, rng) if rng.random() < 0.6 else fresh
        new[text] = other if other != fresh else _fresh(material, rng)
    either = re.compile("|".join(re.escape(t) for t in sorted(new, key=len, reverse=True)))
    return lambda text: either.sub(lambda match: new[match[0]], text)


def _fresh(material: Material, rng: random.Random) -> str:
    """A line of code, the same with other words in it, or words of random pieces."""
    draw = rng.random()
    line = rng.choice(material.lines)
    if draw < 0.35:
        return line
    if draw < 0.65:
        return invented(line, material.pieces, rng)
    words = ("".join(rng.choices(material.pieces, k=rng.randint(1, 2))) for _ in range(9))
    return " ".join(list(words)[: rng.randint(1, 9)])


def _changed(turns: list[Row], change: Change) -> list[Row]:
    return [_changed_turn(turn, change) for turn in turns]


def _changed_turn(turn: Row, change: Change) -> Row:
    made = turn | {"content": change(turn["content"] or "")}
    if turn.get("tool_calls"):
        made["tool_calls"] = [
            call | {"function": _changed_call(call["function"], change)}
            for call in turn["tool_calls"]
        ]
    return made


def _changed_call(function: Row, change: Change) -> Row:
    arguments = json.loads(function["arguments"])
    made = {k: change(v) if isinstance(v, str) else v for k, v in arguments.items()}
    return function | {"arguments": json.dumps(made, ensure_ascii=False)}
