"""Copying practice: the same question and call with another name in both.

A small model must learn to copy whatever name stands in the question, not the few thousand names
it has seen. Only the first call is kept: its result would be another one.
"""

from __future__ import annotations

import json
import random
import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from pathlib import PurePosixPath
from typing import Any

from agent_training.tokenizer import BOILERPLATE

Row = dict[str, Any]

NAME = re.compile(r"[A-Za-z0-9_][\w./-]*\w", re.ASCII)  # Chinese glues its words to names
COMMON = {word for text in BOILERPLATE for word in re.findall(r"\w+", text)}
# How often a path loses its folders: people ask about files at the root more than about others.
AT_THE_ROOT = 0.3
KINDS = (
    ("path", re.compile(r"[\w.-]+(/[\w.-]+)+")),
    ("file", re.compile(r"[\w-]+\.[A-Za-z]\w*")),
    ("constant", re.compile(r"[A-Z][A-Z0-9]*(_[A-Z0-9]+)+|[A-Z]{3,}")),
    ("snake", re.compile(r"_*[a-z][a-z0-9]*(_[a-z0-9]+)+")),
    ("pascal", re.compile(r"[A-Z][a-z0-9]+([A-Z]+[a-z0-9]*)*|[A-Z]+[a-z]\w*")),
    ("camel", re.compile(r"[a-z][a-z0-9]*([A-Z]+[a-z0-9]*)+")),
    ("word", re.compile(r"[a-z]{4,}")),
)


def pieces_of(tokens: Iterable[str]) -> list[str]:
    """The pieces of words in a vocabulary, in lower case, each once."""
    return sorted({token.lower() for token in tokens if re.fullmatch(r"[A-Za-z]{2,}", token)})


def practise(rows: list[Row], share: float, seed: int, pieces: Sequence[str] = ()) -> Iterator[Row]:
    """Each row as it is, or, for a random `share` of the tool dialogues, with its first call only
    and, where one name is copied from the question, another name of the same kind in its place.

    `pieces`: of words, for names that exist nowhere.
    """
    rng = random.Random(seed)
    pool = _pool(rows)
    for row in rows:
        first = _first_call(row)
        if first is None or rng.random() >= share:
            yield row
            continue
        turns = row["messages"][: first + 1]
        name = _copied(turns)
        if name is not None:
            new = _another(name, pool, pieces, rng)
            if _opens_file(turns[-1]) and rng.random() < AT_THE_ROOT:
                new = PurePosixPath(new).name
            turns = _renamed(turns, name, new)
        yield row | {"messages": turns}


def _opens_file(turn: Row) -> bool:
    return turn["tool_calls"][0]["function"]["name"] not in {"grep", "find_files"}


def _first_call(row: Row) -> int | None:
    calls = (i for i, turn in enumerate(row["messages"]) if turn.get("tool_calls"))
    return next(calls, None)


def _copied(turns: list[Row]) -> str | None:
    """The longest name of the question that stands in the call's arguments too."""
    arguments = json.loads(turns[-1]["tool_calls"][0]["function"]["arguments"])
    values = "\n".join(value for value in arguments.values() if isinstance(value, str))
    names = set(NAME.findall(turns[-2]["content"] or "")) - COMMON
    copied = [n for n in names if _kind(n) and _whole(n).search(values)]
    return max(copied, key=len, default=None)


def _kind(name: str) -> str | None:
    """Shape of a name; of files also the extension, for nobody lints a .toml as PHP."""
    kind = next((kind for kind, shape in KINDS if shape.fullmatch(name)), None)
    return f"{kind}{PurePosixPath(name).suffix}" if kind in {"path", "file"} else kind


def _pool(rows: Iterable[Row]) -> dict[str, list[str]]:
    names: dict[str, set[str]] = defaultdict(set)
    for row in rows:
        first = _first_call(row)
        if first is not None:
            name = _copied(row["messages"][: first + 1])
            if name is not None:
                names[_kind(name) or ""].add(name)
    return {kind: sorted(found) for kind, found in names.items()}


def _another(
    name: str, pool: dict[str, list[str]], pieces: Sequence[str], rng: random.Random
) -> str:
    """A name of the same kind: one that exists, one spliced from two, or one made of pieces.

    A piece of a word that the model never copied is a piece that it cannot copy.
    """
    kind = _kind(name) or ""
    names = pool[kind]
    one = rng.choice(names)
    draw = rng.random()
    if draw < 0.25:
        return one
    if draw < 0.5 or not pieces:
        head, tail = _parts(one), _parts(rng.choice(names))
        made = "".join(head[: max(1, len(head) - 1)] + tail[-1:])
    else:
        made = _invented(one, pieces, rng)
    return made if _kind(made) == kind else one


def _parts(name: str) -> list[str]:
    return [part for part in re.split(r"(?<=[/_])|(?=\.)|(?<=[a-z0-9])(?=[A-Z])", name) if part]


def _invented(model: str, pieces: Sequence[str], rng: random.Random) -> str:
    """`model` with random pieces of words in place of some of its own, in the same case."""
    stem, dot, suffix = model.rpartition(".") if "." in model else (model, "", "")

    def piece(match: re.Match[str]) -> str:
        if rng.random() < 0.3:
            return match[0]
        new = rng.choice(pieces)
        if match[0].isupper() and len(match[0]) > 1:
            return new.upper()
        return new.capitalize() if match[0][0].isupper() else new

    return re.sub(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+", piece, stem) + dot + suffix


def _whole(name: str) -> re.Pattern[str]:
    return re.compile(rf"(?<!\w){re.escape(name)}(?!\w)", re.ASCII)


def _renamed(turns: list[Row], old: str, new: str) -> list[Row]:
    whole = _whole(old)
    question = turns[-2] | {"content": whole.sub(lambda _: new, turns[-2]["content"])}
    (call,) = turns[-1]["tool_calls"]
    arguments = whole.sub(lambda _: new, call["function"]["arguments"])
    function = call["function"] | {"arguments": arguments}
    return [*turns[:-2], question, turns[-1] | {"tool_calls": [call | {"function": function}]}]
