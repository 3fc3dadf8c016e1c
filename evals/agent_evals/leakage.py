"""Does a training set know the questions of the test split?

Two signs: a run of 13 words in common (Brown et al. 2020, "Language Models are Few-Shot Learners",
appendix C), and a question that is nearly the same.
"""

import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from agent.exits import UsageError
from agent_evals.similar import Neighbours, words
from agent_evals.suite import Case

_RUN = 13  # words


@dataclass(frozen=True)
class Leak:
    """A case that a training row knows. `kind`: what they share; `where`: file and line."""

    case: str
    kind: str
    where: str


def leaks(cases: Sequence[Case], training: Iterable[Path]) -> list[Leak]:
    """The first leak of each kind for every case of `cases`.

    `training`: files of JSON lines, or folders of such files. Every text of a row is held against
    the questions; of a row with `messages`, only what the user says can be "the same question".

    Raises:
        UsageError: a file cannot be read, or a line of it is no JSON.
    """
    runs = _runs(cases)
    starts = {run[0] for run in runs}
    near = Neighbours({case.id: case.question for case in cases})
    found: dict[tuple[str, str], Leak] = {}
    seen: set[str] = set()

    def tell(case: str, kind: str, where: str) -> None:
        found.setdefault((case, kind), Leak(case, kind, where))

    for where, row in _rows(training):
        for text, is_question in _texts(row):
            if text in seen:
                continue
            seen.add(text)
            said = words(text)
            for i, word in enumerate(said):
                if word in starts:
                    for name in runs.get(tuple(said[i : i + _RUN]), ()):
                        tell(name, f"{_RUN} words in a row", where)
            if is_question:
                for name in near.of(text):
                    tell(name, "nearly the same question", where)
    return list(found.values())


def _runs(cases: Sequence[Case]) -> dict[tuple[str, ...], set[str]]:
    runs: dict[tuple[str, ...], set[str]] = {}
    for case in cases:
        said = words(case.question)
        for i in range(len(said) - _RUN + 1):
            runs.setdefault(tuple(said[i : i + _RUN]), set()).add(case.id)
    return runs


def _rows(training: Iterable[Path]) -> Iterator[tuple[str, Any]]:
    for given in training:
        for path in sorted(given.rglob("*.jsonl")) if given.is_dir() else [given]:
            try:
                with path.open(encoding="utf-8") as file:
                    for number, line in enumerate(file, 1):
                        if line.strip():
                            where = f"{path.name}, line {number}"
                            yield where, json.loads(line)
            except json.JSONDecodeError:
                raise UsageError(f"--against: {where} is not JSON.") from None
            except UnicodeDecodeError:
                raise UsageError(f"--against: {path} is not UTF-8.") from None
            except OSError as error:
                raise UsageError(f"--against: {path} cannot be read: {error.strerror}.") from None


def _texts(row: Any) -> Iterator[tuple[str, bool]]:
    """Every text of a row, and whether it may be a question."""
    if isinstance(row, dict) and isinstance(row.get("messages"), list):
        for message in row["messages"]:
            is_question = isinstance(message, dict) and message.get("role") == "user"
            yield from ((text, is_question) for text in _strings(message))
    else:
        yield from ((text, True) for text in _strings(row))


def _strings(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict | list):
        for part in value.values() if isinstance(value, dict) else value:
            yield from _strings(part)
