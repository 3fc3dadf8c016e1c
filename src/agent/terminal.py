"""Asking the person at the terminal."""

import signal
import sys

from agent.answer import plain
from agent.permissions import Asker, Request


def asker() -> Asker | None:
    """How to ask the user, or None where nobody can be asked."""
    interactive = sys.stdin.isatty() and sys.stderr.isatty()
    return _ask if interactive else None


async def _ask(request: Request) -> bool:
    print(plain(request.preview), file=sys.stderr)
    print(f"Allow {request.tool} on {plain(str(request.arguments.get('path')))}? [y/N] ",
          end="", file=sys.stderr, flush=True)  # fmt: skip
    # While we wait here Ctrl-C must break the reading, not wait for the event loop.
    previous = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        return sys.stdin.readline().strip().lower() in ("y", "yes")
    finally:
        signal.signal(signal.SIGINT, previous)
