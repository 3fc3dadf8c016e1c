"""Names as they stand in questions and calls: their kinds, and new ones that exist nowhere."""

from __future__ import annotations

import random
import re
from collections.abc import Iterable, Sequence

from agent_training.tokenizer import BOILERPLATE

NAME = re.compile(r"[A-Za-z0-9_][\w./-]*\w", re.ASCII)  # Chinese glues its words to names
COMMON = {word for text in BOILERPLATE for word in re.findall(r"\w+", text)}
KINDS = (
    ("path", re.compile(r"[\w.-]+(/[\w.-]+)+")),
    ("file", re.compile(r"[\w-]+\.[A-Za-z]\w*")),
    ("constant", re.compile(r"[A-Z][A-Z0-9]*(_[A-Z0-9]+)+|[A-Z]{3,}")),
    ("snake", re.compile(r"_*[a-z][a-z0-9]*(_[a-z0-9]+)+")),
    ("pascal", re.compile(r"[A-Z][a-z0-9]+([A-Z]+[a-z0-9]*)*|[A-Z]+[a-z]\w*")),
    ("camel", re.compile(r"[a-z][a-z0-9]*([A-Z]+[a-z0-9]*)+")),
    ("word", re.compile(r"[a-z]{4,}")),
)
_WORD = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+")


def pieces_of(tokens: Iterable[str]) -> list[str]:
    """The pieces of words in a vocabulary, in lower case, each once."""
    return sorted({token.lower() for token in tokens if re.fullmatch(r"[A-Za-z]{2,}", token)})


def kind_of(name: str) -> str | None:
    """Shape of a name; of files also the extension, for nobody lints a .toml as PHP."""
    kind = next((kind for kind, shape in KINDS if shape.fullmatch(name)), None)
    suffix = "." + name.rpartition(".")[2] if "." in name.rpartition("/")[2] else ""
    return f"{kind}{suffix}" if kind in {"path", "file"} else kind


def whole(name: str) -> re.Pattern[str]:
    r"""Matches `name` as a whole word, also after the `\b` of a pattern."""
    return re.compile(rf"(?:(?<!\w)|(?<=\\b)){re.escape(name)}(?!\w)", re.ASCII)


def another(name: str, known: Sequence[str], pieces: Sequence[str], rng: random.Random) -> str:
    """A name of the same kind: one of `known`, one spliced from two, or one made of `pieces`.

    A piece of a word that the model never copied is a piece that it cannot copy.
    """
    one = rng.choice(known)
    draw = rng.random()
    if draw < 0.2:
        return one
    if draw < 0.4 or not pieces:
        head, tail = _parts(one), _parts(rng.choice(known))
        made = "".join(head[: max(1, len(head) - 1)] + tail[-1:])
    else:
        made = invented(one, pieces, rng)
    return made if kind_of(made) == kind_of(name) else one


def _parts(name: str) -> list[str]:
    return [part for part in re.split(r"(?<=[/_])|(?=\.)|(?<=[a-z0-9])(?=[A-Z])", name) if part]


def invented(model: str, pieces: Sequence[str], rng: random.Random) -> str:
    """`model` with random pieces of words in place of some of its own, in the same case."""
    stem, dot, suffix = model.rpartition(".") if "." in model else (model, "", "")

    def piece(match: re.Match[str]) -> str:
        if rng.random() < 0.3:
            return match[0]
        new = rng.choice(pieces)
        if match[0].isupper() and len(match[0]) > 1:
            return new.upper()
        return new.capitalize() if match[0][0].isupper() else new

    return _WORD.sub(piece, stem) + dot + suffix
