"""ACEBench: the normal categories of one turn, and the special ones, in which no call is right.

Source: github.com/ACEBench/ACEBench, MIT; Chen et al. 2025, arXiv 2501.12851.
"""

import json
import re
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

from agent.exits import UsageError
from agent_evals.public import reading
from agent_evals.public.cases import Expected, Label, PublicCase, PublicSuite, Wanted
from agent_evals.public.schema import offered

_EXPECTED = (
    "ACEBench's files such as data_special_irrelevant.json: a row a line with id, question and "
    "function, the answers in possible_answer/ beside them"
)
_NORMAL = re.compile(r"normal_(?:single_turn_\w+|atom_\w+|similar_api|preference)")
_SPECIAL = ("special_incomplete", "special_error_param", "special_irrelevant")
_RUN = "only the categories of one turn are run"
_FILE = re.compile(r"data_(?P<category>\w+)")
_USER = "user:"


def load(path: Path) -> PublicSuite:
    """The cases of a file or of all files below a folder; the category is the subtype.

    Raises:
        UsageError: what is there is not ACEBench, or not one of its categories of one turn.
    """
    files = reading.files(path, ["data_*.json"], ("possible_answer",), _EXPECTED)
    cases: list[PublicCase] = []
    read: list[Path] = []
    left_out: list[Path] = []
    unanswered: list[Path] = []
    for file in files:
        match = _FILE.fullmatch(file.stem)
        category = match["category"] if match else ""
        if category not in _SPECIAL and not _NORMAL.fullmatch(category):
            left_out.append(file)
            continue
        answers = reading.answers(file, _EXPECTED)
        if answers is None:
            unanswered.append(file)
        read.append(file)
        lang = "zh" if file.parent.name.endswith("zh") else "en"
        for where, row in reading.rows(file, ("id", "question", "function"), _EXPECTED):
            cases.append(_case(where, row, category, lang, answers))
    notes = reading.notes(_RUN, left_out, unanswered)
    if not cases:
        raise UsageError(f"--suite: {notes[0]} Expected {_EXPECTED}.")
    return PublicSuite("acebench", tuple(cases), reading.digest(read), notes)


def _case(
    where: str, row: Mapping[str, Any], category: str, lang: str, answers: dict[str, Any] | None
) -> PublicCase:
    tools = offered(row["function"], where)
    label: Label = "direct" if category in _SPECIAL else "tool"
    try:
        truth = None if answers is None else answers[str(row["id"])]
        expected = _expected(category, truth, {tool.name for tool in tools})
    except (KeyError, TypeError, AttributeError):
        raise UsageError(
            f"{where}: its row in possible_answer is missing or not as expected."
        ) from None
    name = str(row["id"]) if lang == "en" else f"{row['id']}-{lang}"
    message = {"role": "user", "content": _text(row, where)}
    return PublicCase(name, "acebench", label, category, (message,), tools, expected, lang)


def _text(row: Mapping[str, Any], where: str) -> str:
    """What the user says, then the time and the profile, which the set's own prompt gives."""
    question = str(row["question"]).strip()
    if not question.startswith(_USER):
        raise UsageError(f"{where}: expected a question that begins with {_USER!r}.")
    profile = row.get("profile")
    if profile and not isinstance(profile, str):
        profile = json.dumps(profile, ensure_ascii=False)
    parts = (question.removeprefix(_USER).strip(), row.get("time"), profile)
    return "\n\n".join(str(part) for part in parts if part)


def _expected(category: str, truth: Any, names: Collection[str]) -> Expected:
    if category == "special_irrelevant":
        return Expected(says=("cannot",))
    if category == "special_incomplete":
        missing = [name for part in (truth or {}).values() for name in part]
        return Expected(says=("ask", "cannot"), mentions=tuple(map(_spellings, missing)))
    if category == "special_error_param":
        wrong = [value for values in (truth or {}).values() for value in values]
        return Expected(says=("ask", "cannot"), mentions=tuple((str(v),) for v in wrong))
    if truth is None:
        return Expected()
    alternatives = truth if isinstance(truth, list) else [truth]
    return Expected(
        calls=tuple(
            tuple(_wanted(name, given, names) for name, given in calls.items())
            for calls in alternatives
        )
    )


def _spellings(parameter: str) -> tuple[str, ...]:
    """`timePeriod` is named by itself and by "time period"."""
    name = parameter.strip()
    words = re.sub(r"(?<=[a-z])(?=[A-Z])", " ", name).replace("_", " ")
    return tuple(dict.fromkeys((name, words.casefold())))


def _wanted(name: str, given: Mapping[str, Any], names: Collection[str]) -> Wanted:
    """A tool that is called twice is numbered in the answers: `book_1`, `book_2`."""
    if name not in names:
        name = re.sub(r"_\d+$", "", name)
    return Wanted(name, {key: [_only(value)] for key, value in given.items()})


def _only(value: Any) -> Any:
    """The value as the one acceptable one, at every depth."""
    if isinstance(value, dict):
        return {key: [_only(part)] for key, part in value.items()}
    return [_only(part) for part in value] if isinstance(value, list) else value
