"""Reading a TOML configuration file, and saying on which line of it something is wrong."""

import tomllib
from collections.abc import Sequence
from typing import Any

from agent.exits import UsageError


class ConfigFile:
    """A parsed file: `text` and `values`; `source` names it in what is raised."""

    def __init__(self, text: str, source: str) -> None:
        """Raises UsageError when the text is no TOML; the message has the line."""
        self.text, self.source = text, source
        try:
            self.values: dict[str, Any] = tomllib.loads(text)
        except (tomllib.TOMLDecodeError, RecursionError) as error:
            raise UsageError(f"{source} is not valid TOML: {error}.") from None

    def wrong(self, keys: Sequence[str], what: str) -> UsageError:
        """The error to raise about the value at a path of keys."""
        line = _line_of(self.text, keys)
        place = self.source if line is None else f"{self.source}, line {line}"
        return UsageError(f"{place}: {what}")


def _line_of(text: str, keys: Sequence[str]) -> int | None:
    """The line where the value at a path of keys is given, counted from 1."""
    lines = text.splitlines()
    # A statement begins after the last line up to which the file is whole without it.
    start = 0
    for end in range(1, len(lines) + 1):
        try:
            table: Any = tomllib.loads("\n".join(lines[:end]))
        except tomllib.TOMLDecodeError:
            continue
        if _has(table, keys):
            return start + 1
        start = end
    return None


def _has(table: Any, keys: Sequence[str]) -> bool:
    for key in keys:
        if not isinstance(table, dict) or key not in table:
            return False
        table = table[key]
    return True
