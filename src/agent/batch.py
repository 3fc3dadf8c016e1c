"""`agent ask --batch`: many questions in one process, one result line each, in order."""

import json
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from agent.exits import AgentError, Exit, UsageError
from agent.settings import Settings


@dataclass(frozen=True)
class Row:
    """A question of a batch; `directory` as given, relative to the batch's own."""

    id: Any
    question: str
    directory: Path


def batch(source: str, directory: Path, settings: Settings, *, record: bool = True) -> int:
    """Answer every row; returns 0 when all were answered, else 1.

    `record`: keep what is written, so that it can be taken back row by row.

    Raises:
        UsageError: the file cannot be read or a row is wrong; nothing was asked then.
    """
    rows = list(read_rows(source, directory))
    from agent import connect, interrupt, render

    try:
        endpoint = connect.connect(settings)
    except AgentError as error:
        render.note(f"agent: {error}")
        return Exit.UNAVAILABLE if error.subtype == "unavailable" else Exit.USAGE
    try:
        return interrupt.run(_answer_all(rows, settings, endpoint, record))
    finally:
        endpoint.close()


async def _answer_all(rows: list[Row], settings: Settings, endpoint: Any, record: bool) -> int:
    from agent import render
    from agent.ask import failure
    from agent.assistant import Assistant
    from agent.checkpoints import Checkpoints

    failed = False
    assistants: dict[Path, Assistant] = {}
    for row in rows:
        try:
            if row.directory not in assistants:
                checkpoints = Checkpoints.create(row.directory) if record else None
                assistants[row.directory] = Assistant(
                    settings, endpoint, row.directory, checkpoints=checkpoints
                )
            assistant = assistants[row.directory]
            assistant.forget()
            result = await assistant.ask(row.question)
        except UsageError as error:
            result = failure("usage", str(error))
        failed = failed or result.is_error
        render.write({"id": row.id, **result.as_json()})
        if result.subtype == "interrupted":
            raise KeyboardInterrupt
    for assistant in assistants.values():
        await assistant.aclose()
    return Exit.ERROR if failed else Exit.OK


def read_rows(source: str, directory: Path) -> Iterator[Row]:
    """The rows of a batch file, `-` for standard input; the line number is the default id.

    Raises:
        UsageError: a row is no object with a question.
    """
    for number, line in enumerate(_lines(source), 1):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
        except ValueError:
            raise UsageError(f"{source}, line {number}: not JSON.") from None
        question = row.get("question") if isinstance(row, dict) else None
        if not isinstance(question, str) or not question.strip():
            raise UsageError(f'{source}, line {number}: needs a "question" that is not empty.')
        where = row.get("directory", ".")
        if not isinstance(where, str):
            raise UsageError(f'{source}, line {number}: "directory" must be a text.')
        yield Row(row.get("id", number), question, directory / where)


def _lines(source: str) -> list[str]:
    try:
        data = sys.stdin.buffer.read() if source == "-" else Path(source).read_bytes()
        return data.decode("utf-8").splitlines()
    except OSError as error:
        raise UsageError(f"{source} cannot be read: {error.strerror}.") from None
    except UnicodeDecodeError:
        raise UsageError(f"{source} is not UTF-8.") from None
