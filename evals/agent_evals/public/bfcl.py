"""The Berkeley Function Calling Leaderboard: the categories of one turn, versions 3 and 4.

Source: github.com/ShishirPatil/gorilla, berkeley-function-call-leaderboard, Apache-2.0.
"""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from agent.exits import UsageError
from agent_evals.public import reading
from agent_evals.public.cases import Expected, Label, PublicCase, PublicSuite, Wanted
from agent_evals.public.schema import offered

_EXPECTED = (
    "BFCL's files such as BFCL_v4_irrelevance.json: a row a line with id, question and function, "
    "the answers in possible_answer/ beside them"
)
_POSITIVE = re.compile(r"(?:live_)?(?:simple(?:_python)?|multiple|parallel|parallel_multiple)")
_NEGATIVE = ("irrelevance", "live_irrelevance")
_RELEVANCE = "live_relevance"
_RUN = "only Python's categories of one turn are run"
_FILE = re.compile(r"BFCL_v\d+_(?P<category>\w+)")


def load(path: Path) -> PublicSuite:
    """The cases of a file or of all files below a folder; the category is the subtype.

    Raises:
        UsageError: what is there is not BFCL, or not one of its categories of one turn.
    """
    hidden = ("possible_answer", "unused_datasets", "multi_turn_func_doc")
    files = reading.files(path, ["BFCL_v*_*.json"], hidden, _EXPECTED)
    cases: list[PublicCase] = []
    read: list[Path] = []
    left_out: list[Path] = []
    unanswered: list[Path] = []
    for file in files:
        category = _category(file)
        label = _label(category)
        if label is None:
            left_out.append(file)
            continue
        answers = reading.answers(file, _EXPECTED)
        if label == "tool" and answers is None and category != _RELEVANCE:
            unanswered.append(file)
        read.append(file)
        for where, row in reading.rows(file, ("id", "question", "function"), _EXPECTED):
            cases.append(_case(where, row, category, label, answers))
    notes = reading.notes(_RUN, left_out, unanswered)
    if not cases:
        raise UsageError(f"--suite: {notes[0]} Expected {_EXPECTED}.")
    return PublicSuite("bfcl", tuple(cases), reading.digest(read), notes)


def _category(file: Path) -> str:
    match = _FILE.fullmatch(file.stem)
    if match is None:
        raise UsageError(f"--suite: {file.name!r} names no category; expected {_EXPECTED}.")
    return match["category"]


def _label(category: str) -> Label | None:
    if category in _NEGATIVE:
        return "direct"
    return "tool" if category == _RELEVANCE or _POSITIVE.fullmatch(category) else None


def _case(
    where: str, row: Mapping[str, Any], category: str, label: Label, answers: dict[str, Any] | None
) -> PublicCase:
    turns, functions = row["question"], row["function"]
    try:
        messages = tuple({"role": m["role"], "content": m["content"]} for m in turns[0])
    except (TypeError, KeyError, IndexError):
        messages = ()
    if len(turns) != 1 or not any(m["role"] == "user" for m in messages):
        raise UsageError(f"{where}: expected one turn, a list of messages, as the question.")
    if isinstance(functions, Mapping):
        functions = [functions]
    calls: tuple[tuple[Wanted, ...], ...] = ()
    if label == "tool" and answers is not None:
        calls = (_wanted(where, answers.get(str(row["id"]))),)
    tools = offered(functions, where)
    return PublicCase(
        str(row["id"]), "bfcl", label, category, messages, tools, Expected(calls=calls)
    )


def _wanted(where: str, truth: Any) -> tuple[Wanted, ...]:
    try:
        return tuple(
            Wanted(name, {key: list(values) for key, values in arguments.items()})
            for call in truth
            for name, arguments in call.items()
        )
    except (TypeError, AttributeError):
        raise UsageError(
            f"{where}: its row in possible_answer is missing or no list of calls."
        ) from None
