"""`agent bench compare A B`: what differs between two runs of one suite, beyond chance or not."""

import argparse
from collections.abc import Sequence
from pathlib import Path

from agent.exits import Exit, UsageError
from agent.render import note
from agent_evals import store
from agent_evals.comparison import MEASURES, Comparison, Line, Pair, compare
from agent_evals.paired import Difference
from agent_evals.report import short, table, wrapped
from agent_evals.store import Row


def main(argv: Sequence[str]) -> int:
    """Run `agent bench compare ARGV`; 1 for a regression or a figure below the limit.

    Raises:
        UsageError: a folder holds no run, the suites differ, or a configuration is not there.
        AgentError: scipy or statsmodels is not installed.
    """
    options = _parser().parse_args(argv)
    first, second = store.read(options.a), store.read(options.b)
    _check_suites(first, second, options)
    one = _rows(first, options.a, options.configuration_a, "--configuration-a")
    other = _rows(second, options.b, options.configuration_b, "--configuration-b")
    found = compare(one, other)
    print(text(found))
    return _verdict(found, options)


def text(found: Comparison) -> str:
    """The comparison as a report: figures, subtypes, flipped cases, and what it means."""
    first, second = found.names
    parts = [
        f"A: {first}\nB: {second}\n{len(found.pairs)} cases in both",
        _figures(found.lines),
        _subtypes(found),
        _flips(found.pairs),
        wrapped(meaning(found), ""),
    ]
    if found.left_out:
        parts.insert(1, f"{found.left_out} results are in one of the two only, and left out.")
    return "\n\n".join(filter(None, parts))


def _figures(lines: Sequence[Line]) -> str:
    rows = [["%", "A", "B", "B - A [95% interval]", "p", "better", "worse"]]
    for line in lines:
        d = line.difference
        shares = (f"{100 * line.before:.1f}", f"{100 * line.after:.1f}")
        rows.append([line.name, *shares, _signed(d), _p(d.p), str(d.gained), str(d.lost)])
    return table(rows)


def _subtypes(found: Comparison) -> str:
    rows = [["decision", "label", "n", "B - A [95% interval]", "p (Holm)", "better", "worse"]]
    for (label, name), d in found.subtypes.items():
        p = _p(found.corrected[label, name])
        rows.append([short(name), label, str(d.n), _signed(d), p, str(d.gained), str(d.lost)])
    return table(rows)


def _signed(found: Difference) -> str:
    low, high = found.interval
    return f"{100 * found.value:+.1f} [{100 * low:+.1f}, {100 * high:+.1f}]"


def _p(p: float) -> str:
    return "<0.001" if p < 0.001 else f"{p:.3f}"


def _flips(pairs: Sequence[Pair]) -> str:
    """The cases that are decided, called or answered otherwise, by what changed and subtype."""
    lines = []
    for name, measure in MEASURES.items():
        flipped: dict[tuple[str, str], list[str]] = {}
        for pair in pairs:
            change = pair.change(measure)
            if change is not None and change.value:
                side = "worse" if change.value < 0 else "better"
                flipped.setdefault((side, pair.case.subtype), []).append(pair.case.id)
        for (side, subtype), ids in sorted(
            flipped.items(), key=lambda g: (g[0][0] != "worse", g[0])
        ):
            lines.append(wrapped(f"{name} {side}, {subtype}: {', '.join(ids)}"))
    return "\n".join(lines)


def _losses_first(group: tuple[tuple[str, str], list[str]]) -> tuple[bool, str]:
    (side, subtype), _ = group
    return side != "worse", subtype


def meaning(found: Comparison) -> str:
    """One sentence: is B worse, better, or not to be told from A?"""
    second = found.names[1] if len(set(found.names)) > 1 else "B"
    if found.regressions:
        return f"{second} is worse beyond chance in: {', '.join(found.regressions)}."
    better = [line.name for line in found.lines if line.difference.is_better]
    if better:
        return f"{second} is better beyond chance in: {', '.join(better)}; it is worse in nothing."
    line = found.lines[0]
    low, high = (100 * bound for bound in line.difference.interval)
    return (
        f"The two cannot be told apart: the difference in {line.name} lies between "
        f"{low:+.1f} and {high:+.1f} points."
    )


def _check_suites(first: store.Run, second: store.Run, options: argparse.Namespace) -> None:
    one, other = (run.manifest.get("suite_sha256") for run in (first, second))
    if one != other:
        names = [run.manifest.get("suite") for run in (first, second)]
        raise UsageError(
            f"{options.a} is a run of the suite {names[0]} and {options.b} of {names[1]}, or of "
            "another state of it; runs of the same suite can be compared."
        )


def _rows(run: store.Run, folder: Path, wanted: str | None, flag: str) -> list[Row]:
    """The results of the configuration that is meant."""
    names = list(dict.fromkeys(row.configuration for row in run.rows))
    if not names:
        raise UsageError(f"{folder} has no finished case yet.")
    if wanted is None and len(names) > 1:
        raise UsageError(f"{folder} has several configurations; say {flag} {' or '.join(names)}.")
    if wanted is not None and wanted not in names:
        raise UsageError(f"{flag}: {folder} has no {wanted!r}, but {', '.join(names)}.")
    return [row for row in run.rows if row.configuration == (wanted or names[0])]


def _verdict(found: Comparison, options: argparse.Namespace) -> int:
    """The exit code: what the flags ask for does not hold."""
    problems = []
    if found.missing and (options.no_regression or options.fail_under is not None):
        problems.append(f"B lacks {found.missing} of A's results; let that run finish.")
    if options.no_regression and found.regressions:
        problems.append(f"B is worse than A in: {', '.join(found.regressions)}.")
    least = options.fail_under
    if least is not None and not found.balanced * 100 >= least:
        problems.append(f"B's balanced accuracy is below {least:g}%.")
    for problem in problems:
        note(f"agent: {problem}")
    return Exit.ERROR if problems else Exit.OK


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="agent bench compare",
        description="What differs between two runs of one suite, and whether it can be chance.",
        epilog="Worse is what has its 95%% interval below zero and p < 0.05 (subtypes: by Holm).",
        allow_abbrev=False,
    )
    parser.add_argument("a", type=Path, metavar="A", help="the folder of a run")
    parser.add_argument("b", type=Path, metavar="B", help="another, or the same")
    parser.add_argument("--configuration-a", metavar="X", help="which one of A's configurations")
    parser.add_argument("--configuration-b", metavar="Y", help="which one of B's configurations")
    parser.add_argument(
        "--fail-under", type=float, metavar="X", help="exit 1 if B's balanced accuracy is below X%%"
    )
    parser.add_argument(
        "--no-regression", action="store_true", help="exit 1 if B is worse than A beyond chance"
    )
    return parser
