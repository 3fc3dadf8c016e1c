"""`agent bench validate`: is a suite what it claims to be, before anything is measured with it?"""

import argparse
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from agent.exits import Exit
from agent_evals import leakage, proofs, similar, suite
from agent_evals.proofs import Problem
from agent_evals.report import table
from agent_evals.suite import LABELS, Case, Suite

_SHOWN = 3  # problems of a kind
_BALANCED = (0.4, 0.6)
_PAIRED = ({"tool", "direct"}, {"tool", "abstain"})


def main(argv: Sequence[str]) -> int:
    """Run `agent bench validate ARGV`; 0, or 1 when the suite has a problem.

    Raises:
        UsageError: there is no such suite, or it cannot be read as one.
    """
    options = _parser().parse_args(argv)
    chosen = suite.load(options.suite)
    problems = [*checks(chosen), *_leaks(chosen, options.against)]
    print(_report(chosen, problems))
    return Exit.ERROR if problems else Exit.OK


def checks(chosen: Suite) -> Iterator[Problem]:
    """Everything that is wrong with a suite that could be read."""
    for case in chosen.cases:
        yield from proofs.prove(case, chosen.fixtures / case.fixture)
    yield from together(chosen.cases)


def together(cases: Sequence[Case]) -> Iterator[Problem]:
    """What is wrong with the cases as a whole, each of which may be sound."""
    yield from _pairs(cases)
    yield from _splits(cases)
    yield from _balance(cases)
    yield from _duplicates(cases)


def _pairs(cases: Iterable[Case]) -> Iterator[Problem]:
    sides: dict[str, list[Case]] = {}
    for case in cases:
        if case.pair is not None:
            sides.setdefault(case.pair, []).append(case)
    for pair, side in sides.items():
        labels = sorted(case.label for case in side)
        if len(side) != 2 or set(labels) not in _PAIRED:
            yield Problem(
                side[0].id,
                "a pair is one tool case and one that takes no tool",
                f"{pair}: {', '.join(labels)}",
            )


def _splits(cases: Iterable[Case]) -> Iterator[Problem]:
    first: dict[tuple[str, str], Case] = {}
    for case in cases:
        for kind, value in (("fixture", case.fixture), ("family", case.family)):
            other = first.setdefault((kind, value), case)
            if value and other.split != case.split:
                yield Problem(case.id, f"its {kind} is in both splits", f"{value}: {other.id}")


def _balance(cases: Sequence[Case]) -> Iterator[Problem]:
    for split, counts in _counts(cases).items():
        decided = counts["tool"] + counts["direct"]
        share = counts["tool"] / decided if decided else 0.5
        if not _BALANCED[0] <= share <= _BALANCED[1]:
            yield Problem(split, "tool and direct cases are out of balance", f"{share:.0%} tool")


def _duplicates(cases: Sequence[Case]) -> Iterator[Problem]:
    near = similar.Neighbours({case.id: case.question for case in cases})
    by_id = {case.id: case for case in cases}
    for case in cases:
        for name in near.of(case.question):
            other = by_id[name]
            paired = case.pair is not None and case.pair == other.pair
            same = other.fixture == case.fixture or other.label == case.label == "direct"
            if name < case.id and not paired and same:
                yield Problem(case.id, "nearly the same question as another case", name)


def _leaks(chosen: Suite, training: Sequence[Path]) -> list[Problem]:
    if not training:
        return []
    test = [case for case in chosen.cases if case.split == "test"]
    found = leakage.leaks(test or chosen.cases, training)
    return [Problem(x.case, "a training row knows it", f"{x.kind}: {x.where}") for x in found]


def _counts(cases: Iterable[Case]) -> dict[str, Counter[str]]:
    counts: dict[str, Counter[str]] = {}
    for case in cases:
        counts.setdefault(case.split, Counter())[case.label] += 1
    return counts


def _report(chosen: Suite, problems: Sequence[Problem]) -> str:
    """One screen: what the suite holds, and what is wrong with it."""
    cases = chosen.cases
    pairs = len({case.pair for case in cases if case.pair})
    families = len({case.family for case in cases if case.family})
    rows = [["", *LABELS, "all"]]
    rows += [
        [split, *(str(counts[label]) for label in LABELS), str(counts.total())]
        for split, counts in sorted(_counts(cases).items())
    ]
    lines = [
        f"{chosen.name}: {len(cases)} cases, {pairs} pairs, {families} families, "
        f"{len({case.fixture for case in cases})} fixtures, "
        f"{len({case.lang for case in cases})} languages; "
        f"canary: {'yes' if chosen.canary else 'none'}",
        f"sha256 {chosen.sha256}",
        "",
        table(rows),
        "",
    ]
    kinds = Counter(problem.kind for problem in problems)
    for kind, n in kinds.most_common():
        lines.append(f"{n:5}  {kind}")
        some = [problem for problem in problems if problem.kind == kind][:_SHOWN]
        lines += [f"       {problem.where}: {problem.detail}" for problem in some]
        if n > _SHOWN:
            lines.append(f"       and {n - _SHOWN} more")
    lines.append(f"{len(problems)} problems." if problems else "No problem found.")
    return "\n".join(lines)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="agent bench validate",
        description="Check a suite: every gold call is executed, every scorer and answer proven.",
        allow_abbrev=False,
    )
    parser.add_argument("suite", metavar="SUITE", help="a suite's name or file")
    parser.add_argument(
        "--against",
        type=Path,
        action="append",
        default=[],
        metavar="TRAINING",
        help="training rows (.jsonl, or a folder) that must not know the test split; repeatable",
    )
    return parser
