"""`agent bench show`: one case, what it takes to be right, and what a run made of it."""

import argparse
import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from agent.exits import Exit, UsageError
from agent_evals import proofs, store, suite
from agent_evals.fixtures import fresh_copy
from agent_evals.suite import After, Case, Suite
from agent_evals.transcript import Call

_LINES = 30  # of a result


def main(argv: Sequence[str]) -> int:
    """Run `agent bench show ARGV`; 0.

    Raises:
        UsageError: there is no such suite, case or run, or the run did not get to the case.
    """
    options = _parser().parse_args(argv)
    run = store.read(options.run) if options.run else None
    chosen = suite.load(options.suite or (run and run.manifest.get("suite")) or suite.DEFAULT)
    case = _find(chosen, options.case)
    print("\n".join(described(case, chosen.fixtures / case.fixture)))
    if run:
        rows = [row for row in run.rows if row.id == case.id]
        if not rows:
            raise UsageError(f"{options.run} has no result for {case.id}.")
        for row in rows:
            print("\n" + "\n".join(_result(row)))
    return Exit.OK


def _find(chosen: Suite, name: str) -> Case:
    for case in chosen.cases:
        if case.id == name:
            return case
    some = ", ".join(case.id for case in chosen.cases[:3])
    raise UsageError(f"The suite {chosen.name} has no case {name!r}; its ids are like {some}.")


def described(case: Case, fixture: Path) -> Iterator[str]:
    """The case in lines for people; its gold call is really executed, in a copy of `fixture`."""
    kind = [case.label, case.subtype, case.split, f"fixture {case.fixture}"]
    kind += [f"language {case.lang}"] if case.lang != "en" else []
    kind += [f"pair {case.pair}"] if case.pair else []
    yield f"{case.id}: {', '.join(kind)}"
    yield from _quoted(case.question)
    if case.offered is not None:
        yield f"offered: {', '.join(case.offered)}"
    yield f"right: {_right(case)}"
    for text in case.evidence:
        yield f"  the result contains {text!r}"
    for condition in case.after:
        yield f"  afterwards {_condition(condition)}"
    for group in case.answer:
        yield f"  the answer matches {' or '.join(group)}"
    if case.gold is not None:
        with fresh_copy(fixture) as root:
            yield from _call("gold call", proofs.execute(case, root))


def _right(case: Case) -> str:
    if case.label == "tool":
        return f"a call of {' or '.join(case.tools)}"
    if case.label == "direct":
        return "an answer without a call"
    look = "; it may look first" if case.may_look else ", without a call"
    return f"to say what is missing, or to ask{look}; nothing changes"


def _condition(condition: After) -> str:
    if condition.contains is not None:
        return f"{condition.path} contains {condition.contains!r}"
    if condition.lacks is not None:
        return f"{condition.path} lacks {condition.lacks!r}"
    return f"{condition.path} is {condition.content!r}"


def _call(title: str, call: Call) -> Iterator[str]:
    arguments = json.dumps(dict(call.arguments), ensure_ascii=False)
    invalid = "" if call.valid else ", invalid"
    yield f"{title}: {call.name} {arguments} ({call.outcome}{invalid})"
    yield from _quoted(call.result)


def _result(row: store.Row) -> Iterator[str]:
    yield f"{row.configuration or 'run'}, epoch {row.epoch}: {row.ended} in {row.seconds:.1f} s"
    for number, call in enumerate(row.calls, 1):
        yield from _call(f"call {number}", call)
    for intervention in row.interventions:
        yield f"guard: {intervention}"
    yield "answer:"
    yield from _quoted(row.answer or row.message)
    yield f"verdict: {', '.join(_verdict(row.verdict.as_row()))}"


def _verdict(scores: dict[str, Any]) -> Iterator[str]:
    for name, value in scores.items():
        if value is not None:
            shown = ("no", "yes")[value] if isinstance(value, bool) else value
            yield f"{name.replace('_', ' ')}: {shown}"


def _quoted(text: str) -> Iterator[str]:
    lines = text.splitlines()
    yield from (f"  | {line}" for line in lines[:_LINES])
    if len(lines) > _LINES:
        yield f"  | … {len(lines) - _LINES} more lines"


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="agent bench show",
        description="Show a case and, with the folder of a run, what the model made of it.",
        allow_abbrev=False,
    )
    parser.add_argument("case", metavar="CASE", help="a case's id")
    parser.add_argument("run", metavar="RUN", nargs="?", type=Path, help="the folder of a run")
    parser.add_argument("--suite", help="a suite's name or file; default: the run's, or ours")
    return parser
