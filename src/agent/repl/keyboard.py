"""The keyboard stays ours for the whole conversation, so that no key is read in another way.

prompt-toolkit gives the terminal back between two lines and whenever something is printed above
one. An Enter pressed just then would come back as the character of a new line.
"""

import sys
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext

from prompt_toolkit.input.vt100 import Vt100Input


class Keyboard(Vt100Input):
    """Standard input, whose mode changes only for `lent`."""

    def __init__(self) -> None:
        super().__init__(sys.stdin)
        self._lent = False

    def cooked_mode(self) -> AbstractContextManager[None]:
        """What prompt-toolkit asks for before it prints above the line."""
        return super().cooked_mode() if self._lent else nullcontext()

    @contextmanager
    def lent(self) -> Iterator[None]:
        """The block in which a program of the user's may have the terminal."""
        self._lent = True
        try:
            with super().cooked_mode():
                yield
        finally:
            self._lent = False
