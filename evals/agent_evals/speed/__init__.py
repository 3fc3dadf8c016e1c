"""`agent bench speed`: what this costs, each figure against a named rival in the same run."""

import argparse
from collections.abc import Callable, Sequence
from subprocess import SubprocessError

from agent.exits import Exit, UsageError
from agent.render import note
from agent_evals.report import table
from agent_evals.speed import cold, conversation, grep, matmul, serving, sessions, start
from agent_evals.speed.measure import Line, Options, SpeedError, row

SECTIONS: dict[str, Callable[[Options], list[Line]]] = {
    "start": start.lines,
    "sessions": sessions.lines,
    "conversation": conversation.lines,
    "matmul": matmul.lines,
    "serving": serving.lines,
    "cold": cold.lines,
    "grep": grep.lines,
}


def main(argv: Sequence[str]) -> int:
    """Run `agent bench speed ARGV`: 0 when everything could be measured, whatever the figures."""
    options = _parser().parse_args(argv)
    wanted = Options(model=options.model, repeats=options.repeats)
    rows = [["what", "ours", "rival", "ratio", "target", ""]]
    failed: list[str] = []
    for name in _sections(options.only):
        note(f"measuring {name} …")
        try:
            rows += [row(line) for line in SECTIONS[name](wanted)]
        except (SpeedError, OSError, SubprocessError) as error:
            failed.append(f"{name} could not be measured: {error}")
    print(table(rows))
    for reason in failed:
        print(reason)
    return Exit.ERROR if failed else Exit.OK


def _sections(only: str | None) -> list[str]:
    names = only.split(",") if only else list(SECTIONS)
    unknown = [name for name in names if name not in SECTIONS]
    if unknown:
        known = ", ".join(SECTIONS)
        raise UsageError(f"--only: there is no section {unknown[0]!r}; the sections are {known}.")
    return names


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="agent bench speed",
        description="Measure ourselves against named rivals, interleaved, medians.",
        epilog=f"sections: {', '.join(SECTIONS)}",
        allow_abbrev=False,
    )
    parser.add_argument("--only", metavar="A,B", help="only these sections")
    parser.add_argument("-m", "--model", default="embedded", help="folder; default: embedded")
    parser.add_argument("--repeats", type=int, default=5, metavar="N", help="default: 5")
    return parser
