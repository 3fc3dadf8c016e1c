"""`agent doctor`: check the endpoint, the model and this machine."""

import argparse
import os
import shutil
import sys
import textwrap
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from agent import flags
from agent.exits import Exit

if TYPE_CHECKING:
    from agent.doctor.finding import Finding

_COLOURS = {"ok": "32", "warning": "33", "problem": "31"}
_NAME = 20
_STATUS = 8
_NARROW = 60  # columns; with fewer the text stands below the name
_BELOW = 2


def main(argv: Sequence[str]) -> int:
    """Run all checks; returns 0 when there is no problem (warnings are none), else 1.

    Raises UsageError for settings that name no endpoint.
    """
    from agent import settings
    from agent.doctor.examine import examine

    options = _parser().parse_args(argv)
    flags = ("base_url", "model", "adapter", "timeout")
    given = {name: v for name in flags if (v := getattr(options, name)) is not None}
    merged = settings.load(given, root=Path())
    findings = []
    for finding in examine(merged):
        findings.append(finding)
        if not options.json:
            print(_shown(finding), flush=True)
    if options.json:
        from agent.render import write

        write(as_json(findings))
    else:
        print(_sum(findings))
    return Exit.ERROR if any(found.status == "problem" for found in findings) else Exit.OK


def as_json(findings: Sequence["Finding"]) -> dict[str, Any]:
    """The report as one object: `ok` is false when a finding is a problem."""
    from dataclasses import asdict

    return {
        "type": "doctor",
        "ok": all(found.status != "problem" for found in findings),
        "checks": [asdict(found) for found in findings],
    }


def _shown(finding: "Finding") -> str:
    status = finding.status.ljust(_STATUS)
    if _in_colour():
        status = f"\x1b[{_COLOURS[finding.status]}m{status}\x1b[0m"
    name = finding.name.ljust(_NAME) if _columns() >= _NARROW else finding.name
    paragraphs = [finding.finding]
    if finding.status != "ok" or not finding.advice.startswith("Nothing"):
        paragraphs.append(f"-> {finding.advice}")
    return f"{status}{name}{_wrapped(paragraphs)}"


def _wrapped(paragraphs: Sequence[str]) -> str:
    """Text in the terminal's width: beside the name, or below it where there is little room."""
    columns = _columns()
    beside = columns >= _NARROW
    indent = _STATUS + _NAME + 1 if beside else _BELOW
    lines = [
        line
        for paragraph in paragraphs
        for line in textwrap.wrap(paragraph, columns - indent, break_on_hyphens=False) or [""]
    ]
    text = ("\n" + " " * indent).join(lines)
    return f" {text}" if beside else f"\n{' ' * indent}{text}"


def _columns() -> int:
    """The terminal's width; for a pipe enough for whole lines."""
    return max(shutil.get_terminal_size().columns, _BELOW + 10) if sys.stdout.isatty() else 1000


def _sum(findings: Sequence["Finding"]) -> str:
    counts = []
    for status, one, more in (
        ("ok", "ok", "ok"),
        ("warning", "warning", "warnings"),
        ("problem", "problem", "problems"),
    ):
        number = sum(found.status == status for found in findings)
        counts.append(f"{number} {one if number == 1 else more}")
    return ", ".join(counts)


def _in_colour() -> bool:
    plain = os.environ.get("NO_COLOR") or os.environ.get("TERM", "dumb") == "dumb"
    return sys.stdout.isatty() and not plain


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="agent doctor",
        description="Check the endpoint, the model and this machine, and say what to do. "
        "Exit code 0: no problem; 1: there are some.",
        allow_abbrev=False,
    )
    flags.add_endpoint(parser)
    parser.add_argument("--timeout", metavar="TIME", help="patience with each answer: 300s")
    parser.add_argument("--json", action="store_true", help="one JSON object")
    return parser
