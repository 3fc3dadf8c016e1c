"""Texts that are nearly the same, and wordings that differ only in the names they are about."""

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping

ALIKE = 0.8  # Jaccard similarity from which two texts count as the same
_GRAM = 4
_PASTED = re.compile(r"```.*?```|`[^`]*`|\"[^\"]*\"|“[^”]*”", re.DOTALL)
_NAME = re.compile(r"\S*[/\\_]\S*|\w+\.\w+|\w+\(\)|\b\w*[a-z][A-Z]\w*|\b[A-Z]{2,}\w*|\d+|\{\w+\}")
_BLANK = "•"
_MARKED = re.compile(rf"[\w{_BLANK}]+")


def words(text: str) -> list[str]:
    """The words, in lower case, without punctuation."""
    return re.findall(r"\w+", text.lower())


def template(question: str) -> str:
    """The wording without what it is about: quoted text, code, paths, names and numbers."""
    blank = _NAME.sub(f" {_BLANK} ", _PASTED.sub(f" {_BLANK} ", question))
    return " ".join(re.findall(rf"[^\W\d]+|{_BLANK}", blank.lower()))


def grams(text: str) -> frozenset[str]:
    """The runs of four characters of a text, whatever its case and punctuation."""
    plain = f" {' '.join(_MARKED.findall(text.lower()))} "
    return frozenset(plain[i : i + _GRAM] for i in range(max(1, len(plain) - _GRAM + 1)))


class Neighbours:
    """Finds, among named texts, those whose 4-grams have a Jaccard similarity of `least` or more.

    MinHash estimates this similarity; here it is exact. Two sets that are so similar share one of
    the rarest few grams of each (prefix filtering, Chaudhuri et al. 2006), so few are compared.
    """

    def __init__(self, texts: Mapping[str, str], least: float = ALIKE) -> None:
        self._least = least
        self._sets = {name: grams(text) for name, text in texts.items()}
        self._uses = Counter(gram for held in self._sets.values() for gram in held)
        self._index: dict[str, list[str]] = {}
        for name, held in self._sets.items():
            for gram in self._rarest(held):
                self._index.setdefault(gram, []).append(name)

    def of(self, text: str) -> Iterator[str]:
        """The names of the texts like this one."""
        asked = grams(text)
        near = {name for gram in self._rarest(asked) for name in self._index.get(gram, ())}
        for name in sorted(near):
            held = self._sets[name]
            if len(asked & held) >= self._least * len(asked | held):
                yield name

    def _rarest(self, held: frozenset[str]) -> list[str]:
        ranked = sorted(held, key=lambda gram: (self._uses[gram], gram))
        return ranked[: int(len(ranked) * (1 - self._least)) + 1]


def families(templates: Mapping[str, str], least: float) -> dict[str, str]:
    """For every name the first name of its family: those linked by templates that are alike."""
    near = Neighbours(templates, least)
    first: dict[str, str] = {}
    for name in templates:
        if name not in first:
            for member in _linked(name, templates, near):
                first[member] = name
    return first


def _linked(name: str, templates: Mapping[str, str], near: Neighbours) -> Iterable[str]:
    found, waiting = {name}, [name]
    while waiting:
        for other in near.of(templates[waiting.pop()]):
            if other not in found:
                found.add(other)
                waiting.append(other)
    return found
