"""Secrets under another name: a hard link is known by the file it shares with a secret one."""

import os
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from agent_tools.policy import is_secret

# Clocks of file systems tick in steps of a few milliseconds.
_CLOCK_STEP_NS = 100_000_000


class SecretFiles:
    """The files that have a secret name somewhere below the root or in the user's home.

    Making a link changes a file's ctime. So what was found by an earlier look still holds for every
    file whose ctime is older than that look, and packages installed as hard links cost one look.
    """

    def __init__(self, root: Path) -> None:
        self._root = root
        self._looked_at = 0
        self._known: set[tuple[int, int]] = set()

    def has(self, status: os.stat_result) -> bool:
        """Whether a file is one of them."""
        if status.st_nlink == 1:
            return False
        if status.st_ctime_ns >= self._looked_at:
            self._looked_at = time.time_ns() - _CLOCK_STEP_NS
            self._known = self._look()
        return (status.st_dev, status.st_ino) in self._known

    def _look(self) -> set[tuple[int, int]]:
        found = set()
        for secret in (*_secrets_below(self._root), *_secrets_of_home()):
            with suppress(OSError):
                status = secret.stat()
                found.add((status.st_dev, status.st_ino))
        return found


def _secrets_below(root: Path) -> Iterator[Path]:
    for directory, _, files in os.walk(root):
        below = directory[len(str(root)) + 1 :]
        for file in files:
            if is_secret(f"{below}/{file}"):
                yield Path(directory, file)


def _secrets_of_home() -> Iterator[Path]:
    """Not all of the home: secret files in it, and what its secret directories hold."""
    with suppress(OSError):
        for entry in Path.home().iterdir():
            if is_secret(entry.name):
                yield entry
                yield from (Path(d, file) for d, _, files in os.walk(entry) for file in files)
