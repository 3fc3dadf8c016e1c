"""The conversation in a terminal of our own, as a person has it: keys in, bytes out."""

import os
import pty
import re
import select
import subprocess
import termios
import time
from collections.abc import Callable
from pathlib import Path
from types import TracebackType

from agent_evals.speed.measure import SpeedError, plain_environment, python

_SIZE = (24, 80)
_PATIENCE = 60.0
_WHERE = b"\x1b[6n"  # "where is the cursor?", which a terminal answers
_ESCAPES = re.compile(rb"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07]*\x07|[^\[\]])")


class Terminal:
    """`agent` in `home`, talking to the endpoint at `url`; a context manager.

    `started` is when the process was started, in seconds of `time.perf_counter`.
    """

    def __init__(self, url: str, home: Path) -> None:
        ours, theirs = pty.openpty()
        termios.tcsetwinsize(theirs, _SIZE)
        self._ours, self._written = ours, b""
        self.started = time.perf_counter()
        self._process = subprocess.Popen(
            python("-m", "agent", "--base-url", url, "--model", "x", "-C", str(home)),
            stdin=theirs,
            stdout=theirs,
            stderr=theirs,
            start_new_session=True,
            env=plain_environment(
                TERM="xterm-256color",
                XDG_CONFIG_HOME=str(home),
                XDG_STATE_HOME=str(home),
                AGENT_CONTEXT_WINDOW="8192",
            ),
        )
        os.close(theirs)

    def __enter__(self) -> "Terminal":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._process.kill()
        self._process.wait()
        os.close(self._ours)

    def type(self, keys: str) -> None:
        """Press keys; what was written before is forgotten."""
        self._written = b""
        os.write(self._ours, keys.encode())

    def until(self, done: Callable[[], bool]) -> None:
        """Read what is written until `done()`.

        Raises:
            SpeedError: it does not come in time, or the process ends.
        """
        end = time.perf_counter() + _PATIENCE
        while not done():
            if time.perf_counter() > end or not self._read(end):
                raise SpeedError(f"the terminal shows only {self.shown[-300:]!r}")

    def rest(self, seconds: float) -> None:
        """Read on for a time, as a person reads before the next key."""
        end = time.perf_counter() + seconds
        while time.perf_counter() < end and self._read(end):
            pass

    def shows(self, text: str) -> Callable[[], bool]:
        """Whether the text was written since the last key, for `until`."""
        return lambda: text in self.shown

    @property
    def shown(self) -> str:
        """The text written since the last key, without its escape sequences."""
        return _ESCAPES.sub(b"", self._written).decode(errors="replace")

    def kibibytes(self) -> int:
        """The process's resident memory."""
        command = ["ps", "-o", "rss=", "-p", str(self._process.pid)]
        return int(subprocess.run(command, capture_output=True, check=True).stdout)

    def _read(self, end: float) -> bool:
        """What comes before `end`; False when nothing will come any more."""
        if not select.select([self._ours], [], [], max(0.0, end - time.perf_counter()))[0]:
            return True
        try:
            data = os.read(self._ours, 65536)
        except OSError:  # how Linux says that the other end is closed
            return False
        self._written += data
        for _ in range(data.count(_WHERE)):
            os.write(self._ours, b"\x1b[1;1R")
        return bool(data)
