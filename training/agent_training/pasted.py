"""More of the questions that carry their own code: other names, other typing, the same answer."""

import random
import re

from agent_training.phrasing import accidents

KINDS = frozenset({"in_context", "snippet", "ask"})
"""Kinds of direct questions whose answer follows from what they quote, whatever it is called."""

Names = dict[str, list[str]]
"""Real names of codebases by kind: `class`, `function`, `constant`."""

_DEFINED = re.compile(
    r"\b(?:class|interface|trait|def|function|func|fn)\s+(?:\([^)]*\)\s*)?([A-Za-z_]\w{2,})"
)
_IDENTIFIER = re.compile(r"\b(?:[A-Z][a-z0-9]+(?:[A-Z]\w*)+|[a-z]+[A-Z]\w*|[A-Za-z]+(?:_\w+)+)\b")
_PROSE = re.compile(r"^[\w'\"¿¡][^{}();=<>|\\]*$")


def renamed(
    question: str, answer: str, kind: str, names: Names, rng: random.Random
) -> tuple[str, str]:
    """The question and its answer with their own names replaced, alike in both.

    Only names that a snippet defines, or that a statement's answer repeats, are replaced: a
    library's keep their meaning.
    """
    if kind == "snippet":
        found = _DEFINED.findall(question)
    else:
        found = [name for name in _IDENTIFIER.findall(question) if name in answer]
    for old in dict.fromkeys(found):
        new = _like(old, names, rng)
        if new and not re.search(rf"\b{re.escape(new)}\b", question):
            pattern = re.compile(rf"\b{re.escape(old)}\b")
            question, answer = pattern.sub(new, question), pattern.sub(new, answer)
    return question, answer


def retyped(question: str, rng: random.Random) -> str:
    """Small accidents in the prose before or after the code, never in the code."""
    lines = question.split("\n")
    ends = [at for at in (0, len(lines) - 1) if _is_prose(lines[at])]
    if ends:
        at = rng.choice(ends)
        lines[at] = accidents([lines[at]], rng, gentle=True)[0]
    return "\n".join(lines)


def _is_prose(line: str) -> bool:
    return len(line.split()) >= 2 and "`" not in line and bool(_PROSE.match(line))


def _like(old: str, names: Names, rng: random.Random) -> str:
    """A real name of the same style, or ''."""
    if old.startswith("__") or old in ("main", "constructor"):
        return ""
    if old.isupper():
        pool = names["constant"]
    elif old[0].isupper():
        pool = names["class"]
    else:
        pool = [name for name in names["function"] if ("_" in name) == ("_" in old)]
    return rng.choice(pool) if pool else ""
