"""What surrounds a question when people type: a remark before it, a word too many or too few.

A small model learns phrasings by heart; words that may be missing, wrong or beside the point teach
it to look at the others. Whether a tool is needed, and the call, stay the same.
"""

from __future__ import annotations

import random
import re
from collections.abc import Sequence

ASIDE_SHARE = 0.12
WORD_SHARE = 0.25
_PLAIN = re.compile(r"[A-Za-z]?[a-z]{2,}[,.?!]?")
# Words that decide whether a question is about this code.
_TELLING = frozenset(
    """here our ours we us my this these that repo repository project codebase code app general
    generally usually usual any typical typically normally nothing without example not never no
    theory difference between versus""".split()  # noqa: SIM905
)


def distracted(
    question: str, kept: str, words: Sequence[str], asides: Sequence[str], rng: random.Random
) -> str:
    """The question with a small accident, or as it is.

    `kept`: text whose words must stay, such as a call's arguments. `words`, `asides`: what slips
    in. Questions that quote code are left alone.
    """
    if "\n" in question or "`" in question or not question.isascii():
        return question
    if words and rng.random() < WORD_SHARE:
        question = _slip(question, kept, words, rng)
    if asides and rng.random() < ASIDE_SHARE:
        question = _remark(question, rng.choice(asides), rng)
    return question


def _slip(question: str, kept: str, words: Sequence[str], rng: random.Random) -> str:
    said = question.split(" ")
    loose = [i for i, word in enumerate(said) if _is_loose(word, kept)]
    if len(said) < 4 or not loose:
        return question
    at = rng.choice(loose)
    draw = rng.randrange(3)
    if draw == 0:
        said.pop(at)
    elif draw == 1:
        said[at] = rng.choice(words)
    elif at + 1 in loose:
        said[at], said[at + 1] = said[at + 1], said[at]
    return " ".join(said)


def _is_loose(word: str, kept: str) -> bool:
    plain = word.strip(",.?!").lower()
    return bool(_PLAIN.fullmatch(word)) and plain not in _TELLING and plain not in kept.lower()


def _remark(question: str, aside: str, rng: random.Random) -> str:
    if rng.random() < 0.7:
        joint = rng.choice([". ", ": ", ", ", " - ", "... "])
        return f"{aside}{joint}{question}"
    bare = question.rstrip(" .?!")
    return f"{bare}? {aside}" if rng.random() < 0.6 else f"{bare}, {aside}"


def plain_words(questions: Sequence[str], limit: int = 4000) -> list[str]:
    """Lower-case words of the questions, to slip into others."""
    found = {w for question in questions for w in re.findall(r"\b[a-z]{2,10}\b", question)}
    return sorted(found - _TELLING)[:: max(1, len(found) // limit)]
