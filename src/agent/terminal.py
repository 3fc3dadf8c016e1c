"""Asking the person at the terminal."""

import signal
import sys

from agent.answer import plain
from agent.exits import AgentError
from agent.permissions import Asker, Request


def asker() -> Asker | None:
    """How to ask the user, or None where nobody can be asked."""
    interactive = sys.stdin.isatty() and sys.stderr.isatty()
    return _ask if interactive else None


async def _ask(request: Request) -> bool:
    print(plain(request.preview), file=sys.stderr)
    # On one line, so that a path cannot add a question of its own.
    pattern = " ".join(plain(request.pattern).split())
    print(f"Allow {pattern}? [y]es / [a]lways in this codebase / [N]o ",
          end="", file=sys.stderr, flush=True)  # fmt: skip
    reply = read_line().lower()
    if reply in ("a", "always"):
        try:
            request.always()
        except AgentError as error:
            print(f"agent: allowed only this once: {error}", file=sys.stderr)
        return True
    return reply in ("y", "yes")


def read_line() -> str:
    """A line of standard input; Ctrl-C breaks the reading and does not wait for an event loop."""
    previous = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        return sys.stdin.readline().strip()
    finally:
        signal.signal(signal.SIGINT, previous)
