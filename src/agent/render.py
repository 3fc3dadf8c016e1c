"""How a run is shown: subscribers to its events."""

import json
import re
import sys
from typing import Any, TextIO

from agent.answer import plain
from agent.events import Delta, Emit, Event, Notice, Problem, Result, ToolResult, ToolUse

_WIDTH = 100
# What JSON leaves as it is and a terminal obeys.
_OBEYED = re.compile("[\x7f-\x9f\u061c\u202a-\u202e\u2066-\u2069]")


def for_format(output_format: str) -> Emit:
    """The subscriber for `--output-format`."""
    if output_format == "stream-json":
        return _stream_json
    return Text() if output_format == "text" else _json


def _json(event: Event) -> None:
    if isinstance(event, Result):
        write(event.as_json())
    elif isinstance(event, Problem | Notice):
        note(f"agent: {event.message}")


def _stream_json(event: Event) -> None:
    if not isinstance(event, Delta):
        write(event.as_json())


def write(row: dict[str, Any], out: TextIO | None = None) -> None:
    """One JSON object on one line, at once."""
    line = json.dumps(row, ensure_ascii=False)
    line = _OBEYED.sub(lambda found: f"\\u{ord(found[0]):04x}", line)
    print(line, file=out or sys.stdout, flush=True)


class Text:
    """The answer on standard output; progress and problems on standard error."""

    def __init__(self) -> None:
        self._arguments = ""

    def __call__(self, event: Event) -> None:
        if isinstance(event, ToolUse):
            self._arguments = _brief(event)
        elif isinstance(event, ToolResult):
            note(f"{event.name} {self._arguments} -> {clip(headline(event.result))}")
        elif isinstance(event, Problem | Notice):
            note(f"agent: {event.message}")
        elif isinstance(event, Result) and event.result:
            print(event.result, flush=True)


def headline(result: str) -> str:
    """The first line of a tool's result, with the one after it where it only announces that."""
    first, *rest = plain(result).split("\n", 2)
    return f"{first} {rest[0].strip()}" if rest and first.endswith(":") else first


def note(line: str) -> None:
    """A line on standard error."""
    print(plain(line), file=sys.stderr, flush=True)


def clip(text: str) -> str:
    """The text, cut to a width that fits a terminal line."""
    return text if len(text) <= _WIDTH else text[: _WIDTH - 1] + "…"


def _brief(event: ToolUse) -> str:
    values = (json.dumps(value, ensure_ascii=False) for value in event.arguments.values())
    return clip(plain(" ".join(values)))
