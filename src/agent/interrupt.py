"""Ctrl-C: the run ends, programs that tools started are dead, files are whole."""

import asyncio
import os
import signal
from collections.abc import Coroutine
from typing import Any, TypeVar

from agent.exits import Exit

T = TypeVar("T")


def run(work: Coroutine[Any, Any, T]) -> T:
    """`asyncio.run` whose work is cancelled by the first Ctrl-C; a second one exits at once.

    The tools' programs are ended first: a tool's thread cannot be cancelled, only its wait.
    """

    async def main() -> T:
        loop = asyncio.get_running_loop()
        task = asyncio.ensure_future(work)
        pressed = False

        def stop() -> None:
            nonlocal pressed
            if pressed:
                os._exit(Exit.INTERRUPTED)
            pressed = True
            from agent_tools import stop_running

            stop_running()
            task.cancel()

        loop.add_signal_handler(signal.SIGINT, stop)
        try:
            return await task
        finally:
            loop.remove_signal_handler(signal.SIGINT)

    try:
        return asyncio.run(main())
    except asyncio.CancelledError:
        raise KeyboardInterrupt from None
