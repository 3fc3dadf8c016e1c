"""The files of a public set, as rows; whatever is wrong with one is a sentence."""

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from agent.exits import UsageError

Rows = list[tuple[str, Mapping[str, Any]]]


def files(path: Path, patterns: Sequence[str], without: Iterable[str], expected: str) -> list[Path]:
    """The file itself, or those below a folder that match, in order of their names.

    `without`: folders in which nothing is looked for.

    Raises:
        UsageError: there is nothing there; the sentence says what was `expected`.
    """
    if path.is_file():
        return [path]
    if not path.exists():
        raise UsageError(f"--suite: there is no file or folder {str(path)!r}; expected {expected}.")
    passed = set(without)
    found = {
        file
        for pattern in patterns
        for file in path.rglob(pattern)
        if file.is_file() and not passed & set(file.relative_to(path).parts[:-1])
    }
    if not found:
        raise UsageError(f"--suite: nothing in {str(path)!r} is of this set; expected {expected}.")
    return sorted(found)


def rows(path: Path, needed: Iterable[str], expected: str) -> Rows:
    """The objects of a file, each with where it is: one a line, or all in one list.

    Raises:
        UsageError: it cannot be read, or a row lacks one of the `needed` keys.
    """
    found = list(_objects(path, expected))
    if not found:
        raise UsageError(f"{path} has no rows; expected {expected}.")
    for where, row in found:
        missing = [key for key in needed if not isinstance(row, Mapping) or key not in row]
        if missing:
            raise UsageError(f"{where}: {missing[0]!r} is missing; expected {expected}.")
    return found


def _objects(path: Path, expected: str) -> Iterator[tuple[str, Any]]:
    text = _text(path, expected)
    if text.lstrip().startswith("["):
        for number, row in enumerate(_parsed(text, str(path), expected), 1):
            yield f"{path.name}, row {number}", row
        return
    for number, line in enumerate(text.split("\n"), 1):
        if line.strip():
            where = f"{path.name}, line {number}"
            yield where, _parsed(line, where, expected)


def _parsed(text: str, where: str, expected: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        raise UsageError(f"{where}: this is no JSON; expected {expected}.") from None


def _text(path: Path, expected: str) -> str:
    try:
        return path.read_bytes().decode("utf-8-sig")
    except OSError as error:
        raise UsageError(f"{path} cannot be read: {error.strerror}.") from None
    except UnicodeDecodeError:
        raise UsageError(f"{path} is not UTF-8; expected {expected}.") from None


def answers(path: Path, expected: str) -> dict[str, Any] | None:
    """The `ground_truth` by id from the file of the same name in `possible_answer`, if it is there.

    Raises:
        UsageError: it is there and cannot be read.
    """
    beside = path.parent / "possible_answer" / path.name
    if not beside.is_file():
        return None
    found = rows(beside, ("id", "ground_truth"), expected)
    return {str(row["id"]): row["ground_truth"] for _, row in found}


def digest(paths: Iterable[Path]) -> str:
    """One hash over the contents of the files that were read."""
    together = hashlib.sha256()
    for path in paths:
        together.update(hashlib.sha256(path.read_bytes()).digest())
    return together.hexdigest()


def notes(why: str, left_out: Sequence[Path], unanswered: Sequence[Path]) -> tuple[str, ...]:
    """What the user should know of the files that were left out, or that had no answers."""
    said: list[str] = []
    if left_out:
        said.append(f"Left out: {_names(left_out)}; {why}.")
    if unanswered:
        said.append(f"Without answers beside them, contents unchecked: {_names(unanswered)}.")
    return tuple(said)


def _names(files: Sequence[Path]) -> str:
    return ", ".join(dict.fromkeys(file.name for file in files))
