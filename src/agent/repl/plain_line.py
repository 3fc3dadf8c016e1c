"""The line where a terminal cannot move its cursor: what is shown only ever grows at its end.

For dumb terminals, for editors that run one, and for screen readers. The terminal itself edits.
"""

import asyncio
import os
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext

from agent.repl.line import Owner

_LONGEST = 1 << 16  # bytes; a terminal that edits gives much shorter lines


class PlainLine:
    """Reads a line when nothing is being written; what is typed before waits in the terminal."""

    type_ahead = False

    def __init__(self, owner: Owner) -> None:
        self._owner = owner
        self._reading: asyncio.Future[str] | None = None
        self._shown = asyncio.Event()
        self._warned = False

    @contextmanager
    def opened(self) -> Iterator[None]:
        """The block in which lines are read; Ctrl-C interrupts, then warns, then leaves."""
        loop = asyncio.get_running_loop()
        loop.add_signal_handler(signal.SIGINT, self._interrupted)
        try:
            yield
        finally:
            loop.remove_signal_handler(signal.SIGINT)

    def lent(self) -> AbstractContextManager[None]:
        """The terminal is nobody's between two lines."""
        return nullcontext()

    async def read(self) -> str:
        """The next line. Raises EOFError for Ctrl-D, or a second Ctrl-C."""
        loop = asyncio.get_running_loop()
        self._reading = loop.create_future()
        self._ask()
        loop.add_reader(sys.stdin.fileno(), self._typed)
        try:
            text = await self._reading
        finally:
            loop.remove_reader(sys.stdin.fileno())
            self._reading = None
        self._warned = False
        return text

    async def shown(self) -> None:
        """Wait until there is a prompt."""
        await self._shown.wait()

    def set_aside(self) -> Callable[[], None]:
        """Nothing was typed yet."""
        return lambda: None

    def leave(self) -> None:
        """End the reading as Ctrl-D does."""
        if self._reading is not None and not self._reading.done():
            self._reading.set_exception(EOFError())

    def redraw(self) -> None:
        """What is shown stays."""

    def _ask(self) -> None:
        print(self._owner.prompt, end="", flush=True)
        self._shown.set()

    def _typed(self) -> None:
        typed = os.read(sys.stdin.fileno(), _LONGEST)
        if not typed:
            print()
            self.leave()
        elif self._reading is not None and not self._reading.done():
            self._reading.set_result(typed.decode("utf-8", "replace").rstrip("\n"))

    def _interrupted(self) -> None:
        print()
        if self._owner.interrupt():
            return
        if self._warned:
            self.leave()
        elif self._reading is not None:
            self._warned = True
            print("Press Ctrl-C again to quit.")
            self._ask()
