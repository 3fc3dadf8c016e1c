"""What a search that found nothing shows instead: the lines that come closest to its words.

A line comes close when at least half of the pattern's words begin parts of its identifiers, in any
letter case: `rate.?limiter` finds `func newRateLimit`. Words are cut to two thirds, so that other
forms of a word count, and rare ones weigh more than frequent ones.
"""

import math
import re
from collections import Counter
from collections.abc import Callable, Iterable
from itertools import permutations

NOTHING = "No matches."
SHOWN_LINES = 5
SHOWN_FILES = 3
_OF_ONE_FILE = 2
_CLOSE = 0.6  # of the best line's weight
_TOGETHER = 3  # words that are looked for in one line where single ones are too frequent

_PART = re.compile(r"[A-Z]?[a-z]+|[A-Z]+(?![a-z])|[^\W\d_A-Za-z]+")
_FLAGS = re.compile(r"\(\?[a-z-]+\)")
_CLASS = re.compile(r"\\[a-zA-Z]|\[\^?\]?[^\]]*\]|\{[\d,]*\}")
_CHOICE = re.compile(r"\([^()]*\|[^()]*\)")


def lines(pattern: str, search: Callable[[str], tuple[list[str], bool]]) -> list[str]:
    """The closest lines, best first.

    `search` finds `file:line: text` for a pattern, and says whether that is all there is.
    """
    wanted = _words(pattern)
    if not wanted:
        return []
    found, whole = search(f"(?i)({'|'.join(wanted)})")
    if not whole and (orders := _orders(wanted)):
        # Too many lines have one of the words to see them all; some have several.
        found = search(f"(?i)({'|'.join(orders)})")[0] or found
    return _closest(wanted, found)


def files(pattern: str, names: Iterable[str]) -> list[str]:
    """The files whose paths come closest, best first."""
    wanted = _words(pattern)
    ranked = sorted((-len(_in(name, wanted)), name) for name in names)
    return [name for count, name in ranked if count < 0 and -count * 2 >= len(wanted)][:SHOWN_FILES]


def _words(pattern: str) -> list[str]:
    """The beginnings of the words that a regular expression spells out.

    Choices such as `(class|def)` do not count: they say where a name stands.
    """
    spelt = _CLASS.sub(" ", _FLAGS.sub("", pattern))
    while (shorter := _CHOICE.sub(" ", spelt)) != spelt:
        spelt = shorter
    words = (part.lower() for part in _PART.findall(spelt))
    return list(dict.fromkeys(w[: max(4, math.ceil(len(w) * 2 / 3))] for w in words if len(w) > 2))


def _orders(words: list[str]) -> list[str]:
    """Patterns of the longest words in one line, in any order; none for a single word."""
    together = sorted(words, key=len)[-_TOGETHER:]
    return [".*".join(order) for order in permutations(together)] if len(together) > 1 else []


def _in(text: str, words: list[str]) -> frozenset[str]:
    parts = [part.lower() for part in _PART.findall(text)]
    return frozenset(word for word in words if any(part.startswith(word) for part in parts))


def _closest(words: list[str], found: list[str]) -> list[str]:
    matched = [(line, _in(line.partition(": ")[2], words)) for line in found]
    often = Counter(word for _, present in matched for word in present)
    weights = [
        (sum(1 / (1 + math.log(often[word])) for word in present), line)
        for line, present in matched
        if present and len(present) * 2 >= len(words)
    ]
    weights.sort(key=lambda weighed: -weighed[0])
    shown: list[str] = []
    for weight, line in weights:
        same_file = sum(line.partition(":")[0] == other.partition(":")[0] for other in shown)
        if same_file < _OF_ONE_FILE and weight >= _CLOSE * weights[0][0]:
            shown.append(line)
    return shown[:SHOWN_LINES]
