"""A real terminal, as far as a program can tell: a PTY whose other end draws a screen."""

import os
import re
import termios
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType

import pexpect
import pyte
from pyte.screens import Char

PATIENCE = 60.0
_SIZE = ("COLUMNS", "LINES")  # the terminal itself says how large it is
_WHERE = b"\x1b[6n"  # "where is the cursor?", which a terminal answers
KEYS = {
    "enter": "\r", "escape": "\x1b", "tab": "\t", "shift-tab": "\x1b[Z", "ctrl-c": "\x03",
    "ctrl-d": "\x04", "ctrl-g": "\x07", "ctrl-j": "\n", "up": "\x1b[A",
}  # fmt: skip


class Screen:
    """A command in a terminal; a context manager. `raw` is every byte that it wrote.

    `enter_was_safe` says whether it never took an Enter for a new line when it wrote.
    """

    def __init__(
        self,
        argv: Sequence[str],
        directory: Path,
        environment: Mapping[str, str],
        columns: int = 80,
        rows: int = 24,
    ) -> None:
        self.raw = b""
        self.enter_was_safe = True
        self._screen = pyte.HistoryScreen(columns, rows, history=5000)
        self._stream = pyte.ByteStream(self._screen)
        self.child = pexpect.spawn(
            argv[0],
            list(argv[1:]),
            cwd=str(directory),
            env={
                **{name: value for name, value in os.environ.items() if name not in _SIZE},
                "TERM": "xterm-256color",
                **environment,
            },
            dimensions=(rows, columns),
            timeout=PATIENCE,
        )

    def __enter__(self) -> "Screen":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.child.close(force=True)

    def type(self, *keys: str) -> None:
        """Type text, or keys by their name in `KEYS`."""
        for key in keys:
            self.child.send(KEYS.get(key, key))

    @property
    def cells(self) -> list[list[Char]]:
        """The screen's characters with their colours, row by row."""
        screen = self._screen
        return [[screen.buffer[y][x] for x in range(screen.columns)] for y in range(screen.lines)]

    @property
    def shown(self) -> str:
        """What is on the screen, and above it as far as it was scrolled."""
        above = ["".join(line[x].data for x in sorted(line)) for line in self._screen.history.top]
        lines = [line.rstrip() for line in [*above, *self._screen.display]]
        return "\n".join(lines).rstrip()

    def wait_for(self, pattern: str, *, absent: bool = False) -> str:
        """Read on until the pattern is on the screen (or no longer); returns the screen.

        Raises AssertionError with the screen when it does not come in time.
        """
        end = time.monotonic() + PATIENCE
        while bool(re.search(pattern, self.shown)) == absent:
            alive = self._read()
            assert alive and time.monotonic() < end, f"waiting for {pattern!r}:\n{self.shown}"
        return self.shown

    @property
    def takes_enter_for_new_line(self) -> bool:
        """Whether the terminal would turn an Enter that is pressed now into a new line."""
        return bool(termios.tcgetattr(self.child.fileno())[0] & termios.ICRNL)

    def settle(self) -> None:
        """Read until nothing more comes for a moment."""
        read = -1
        while read != len(self.raw):
            read = len(self.raw)
            self._read()

    def exit_code(self) -> int:
        """Read to the end; the code the command exits with."""
        while self._read():
            pass
        self.child.close()
        return int(self.child.exitstatus if self.child.exitstatus is not None else -1)

    def _read(self) -> bool:
        """The next output, waited for a moment; False at the end."""
        try:
            data = self.child.read_nonblocking(65536, timeout=0.5)
        except pexpect.TIMEOUT:
            return True
        except pexpect.EOF:
            return False
        self.raw += data
        self.enter_was_safe &= not self.takes_enter_for_new_line
        self._stream.feed(data)
        for _ in range(data.count(_WHERE)):
            cursor = self._screen.cursor
            self.child.send(f"\x1b[{cursor.y + 1};{cursor.x + 1}R")
        return True
