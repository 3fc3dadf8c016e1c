"""Matches of words joined by `|`, those first that say most: a search in words, not for a name.

A line weighs what its words weigh, rare ones more than frequent ones (inverse document frequency,
Spärck Jones 1972), and a little of what the other matches and the name of its file have.
"""

import math
import re
from collections import Counter, defaultdict
from collections.abc import Sequence

_WORDS = re.compile(r"(?:\(\?i\))?\w+(?:\|\w+)+")
_OF_ITS_FILE = 0.4


def words_of(pattern: str) -> list[str]:
    """The words of a pattern that is nothing but words joined by `|`; else none."""
    if not _WORDS.fullmatch(pattern):
        return []
    words = pattern.removeprefix("(?i)").lower().split("|")
    return list(dict.fromkeys(words))


def best_first(words: Sequence[str], lines: Sequence[str]) -> list[str]:
    """The lines `file:number: text` by weight; among equals their order stays."""
    has = [frozenset(w for w in words if w in line.partition(": ")[2].lower()) for line in lines]
    files = [line.partition(":")[0] for line in lines]
    often = Counter(word for present in has for word in present)
    weight = {word: 1 / (1 + math.log(count)) for word, count in often.items()}
    together: dict[str, set[str]] = defaultdict(set)
    for file, present in zip(files, has, strict=True):
        together[file] |= present | {w for w in words if w in file.lower() and w in weight}

    def rank(at: int) -> float:
        of_file = together[files[at]] - has[at]
        return -sum(weight[w] for w in has[at]) - _OF_ITS_FILE * sum(weight[w] for w in of_file)

    return [lines[at] for at in sorted(range(len(lines)), key=rank)]
