"""`agent` without a command: a conversation about the codebase, at the terminal."""

import asyncio
import sys
from pathlib import Path

from agent.exits import UsageError
from agent.settings import Settings


def run(directory: Path, settings: Settings, resume: str | None = None) -> int:
    """Converse at the terminal; returns the exit code. `resume` as `session` of `Conversation`.

    Raises:
        UsageError: there is no terminal, or no such directory.
    """
    if not (sys.stdin.isatty() and sys.stdout.isatty()):
        raise UsageError('A conversation needs a terminal; ask one question with: agent ask "…"')
    if not directory.is_dir():
        raise UsageError(f"There is no directory {str(directory)!r}.")
    return asyncio.run(_run(settings, directory, resume))


async def _run(settings: Settings, directory: Path, resume: str | None) -> int:
    from platformdirs import user_state_path

    from agent import project
    from agent.repl.repl import Repl

    folder = user_state_path("agent", appauthor=False) / "history"
    return await Repl(settings, directory, folder / project.key(directory), resume).run()
