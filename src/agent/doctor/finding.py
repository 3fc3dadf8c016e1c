"""What a check found, and what to do about it."""

from dataclasses import dataclass
from typing import Literal

from agent.answer import plain

Status = Literal["ok", "warning", "problem"]
_LONGEST = 500
_NOTHING = "Nothing to do."


@dataclass(frozen=True)
class Finding:
    """One line of the report. `advice` says what to do, also when that is nothing."""

    name: str
    status: Status
    finding: str
    advice: str


def ok(name: str, finding: str, advice: str = _NOTHING) -> Finding:
    """All is well."""
    return Finding(name, "ok", _line(finding), _line(advice))


def warning(name: str, finding: str, advice: str) -> Finding:
    """The assistant works, but worse or slower, or something could not be told."""
    return Finding(name, "warning", _line(finding), _line(advice))


def problem(name: str, finding: str, advice: str) -> Finding:
    """The assistant will not work, or will mislead."""
    return Finding(name, "problem", _line(finding), _line(advice))


def _line(text: str) -> str:
    """One line without anything that a terminal could be deceived by: servers chose the words."""
    line = " ".join(plain(text).split())
    return line if len(line) <= _LONGEST else line[: _LONGEST - 1] + "…"
