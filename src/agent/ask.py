"""`agent ask`: one question, one answer."""

import os
import select
import stat
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from agent.events import Emit, Result
from agent.exits import BY_SUBTYPE, AgentError, UsageError
from agent.settings import Settings

if TYPE_CHECKING:
    from agent.journal import Journal

_LARGEST_INPUT = 1 << 20
_PATIENCE = 3.0


def ask(
    words: list[str],
    directory: Path,
    settings: Settings,
    *,
    record: bool = True,
    resume: str | bool | None = None,
) -> int:
    """Answer the question on the command line or on standard input; returns the exit code.

    `record`: keep it as a session. `resume`: go on with the session whose id begins so, True: with
    the latest.
    """
    from agent import render

    emit = render.for_format(settings.output_format)
    try:
        question = read_question(words)
        if not directory.is_dir():
            raise UsageError(f"There is no directory {str(directory)!r}.")
        journal = _journal(directory, record, resume)
        try:
            result = _answer(question, directory, settings, emit, journal)
        finally:
            _close(journal)
    except AgentError as error:
        result = failure(error.subtype, str(error))
        _report(result, emit)
    except KeyboardInterrupt:
        result = failure("interrupted", "Interrupted.")
        _report(result, emit)
    return BY_SUBTYPE[result.subtype]


def failure(subtype: str, message: str) -> Result:
    """The result of a run that never began or was broken off."""
    return Result(subtype=subtype, result="", session_id="", message=message)


def _report(result: Result, emit: Emit) -> None:
    from agent.events import Problem

    emit(Problem(result.subtype, result.message))
    emit(result)


def _journal(directory: Path, record: bool, resume: str | bool | None) -> "Journal | None":
    from agent.journal import Journal

    if not record and resume is not None:
        raise UsageError("--no-session keeps nothing; leave it out to go on with a session.")
    if not record:
        return None
    if resume is None:
        return Journal.create(directory)
    return Journal.resume(directory, None if isinstance(resume, bool) else resume)


def _close(journal: "Journal | None") -> None:
    from agent.render import note

    if journal is None:
        return
    if journal.left_out:
        note(f"agent: the model does not see the first {journal.left_out} turns of this session.")
    if journal.problem:
        note(f"agent: {journal.problem}")
    journal.close()


def _answer(
    question: str, directory: Path, settings: Settings, emit: Emit, journal: "Journal | None"
) -> Result:
    from agent import connect, interrupt

    endpoint = connect.connect(settings)
    try:
        from agent.assistant import Assistant
        from agent.checkpoints import Checkpoints
        from agent.terminal import asker

        async def run() -> Result:
            # Whoever wants nothing kept gets no copies of files either.
            checkpoints = Checkpoints.create(directory) if journal else None
            assistant = Assistant(
                settings,
                endpoint,
                directory,
                emit,
                asker(),
                journal=journal,
                checkpoints=checkpoints,
            )
            try:
                return await assistant.ask(question)
            finally:
                await assistant.aclose()

        return interrupt.run(run())
    finally:
        endpoint.close()


def read_question(words: list[str]) -> str:
    """The question, with standard input as its context; `-` reads the question itself there.

    Raises:
        UsageError: there is no question, or standard input is no text of a sensible size.
    """
    question = " ".join(words).strip()
    if question == "-":
        question, context = "", read_stdin()
    else:
        context = read_stdin() if _has_stdin() else ""
    whole = "\n\n".join(part for part in (question, context.strip()) if part)
    if not whole:
        raise UsageError('There is no question; try: agent ask "Where is the configuration read?"')
    if "\0" in whole:
        raise UsageError("The question contains NUL characters; give it as text.")
    return whole


def _has_stdin() -> bool:
    """Whether standard input is a file or a pipe, and so meant for us."""
    try:
        mode = os.fstat(sys.stdin.fileno()).st_mode
    except (AttributeError, OSError, ValueError):
        return False
    return stat.S_ISREG(mode) or stat.S_ISFIFO(mode) or stat.S_ISSOCK(mode)


def read_stdin() -> str:
    """All of standard input as text.

    Raises:
        UsageError: it is not UTF-8, or too large for any model.
    """
    descriptor = sys.stdin.fileno()
    if not select.select([descriptor], [], [], _PATIENCE)[0]:
        print("agent: waiting for standard input (close it with </dev/null)", file=sys.stderr)
    data = sys.stdin.buffer.read(_LARGEST_INPUT + 1)
    if len(data) > _LARGEST_INPUT:
        raise UsageError("Standard input is larger than 1 MiB; name the file in the question.")
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError as error:
        raise UsageError(
            f"Standard input is not UTF-8 (byte {error.start}); convert it, or name the file."
        ) from None
