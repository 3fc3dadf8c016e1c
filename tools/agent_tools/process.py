"""Running another program: argv only, clean environment, bounded in time, dead when we are done.

Where the system has Landlock it may read what it needs and do nothing else, see confine.py.
Children stay in our process group: neither ripgrep nor `php -l` starts others, and so a Ctrl-C at
the terminal reaches them as it reaches us.
"""

import os
import subprocess
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from agent_tools.confine import confined

_running: set["subprocess.Popen[bytes]"] = set()


@dataclass
class Run:
    """A program that is running, and whether its deadline ended it."""

    process: "subprocess.Popen[bytes]"
    timed_out: bool = False

    def expire(self) -> None:
        """End the run at its deadline."""
        self.timed_out = True
        self.process.kill()


@contextmanager
def running(
    argv: Sequence[str],
    *,
    cwd: str,
    seconds: float,
    fed: bool = False,
    programs: Sequence[str] = (),
    reads: Sequence[str] = (),
) -> Iterator[Run]:
    """A program with piped output (and input, if `fed`); killed when the block or its time ends.

    It may read below `reads`, and turn into one of `programs`.
    """
    with Path(os.devnull).open("rb") as nothing:

        def start() -> "subprocess.Popen[bytes]":
            return _start(argv, cwd, subprocess.PIPE if fed else nothing)

        process = confined(start, (argv[0], *programs), reads)
    run = Run(process)
    timer = threading.Timer(seconds, run.expire)
    timer.daemon = True
    timer.start()
    try:
        yield run
    finally:
        timer.cancel()
        process.kill()
        process.wait()
        for pipe in (process.stdin, process.stdout, process.stderr):
            if pipe and not pipe.closed:
                pipe.close()
        _running.discard(process)


def _start(argv: Sequence[str], cwd: str, stdin: int | IO[bytes]) -> "subprocess.Popen[bytes]":
    process = subprocess.Popen(
        argv,
        cwd=cwd,
        stdin=stdin,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env={"LC_ALL": "C.UTF-8"},
    )
    # At once: whoever waits for this may be interrupted meanwhile.
    _running.add(process)
    return process


def stop_running() -> None:
    """End every program started here, for a caller that was interrupted in another thread."""
    for process in tuple(_running):
        process.kill()
