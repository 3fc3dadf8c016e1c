"""The tables of a report: rows of cells, the first row the heads. Text and page show the same ones.

The first cell of a row is a name, whole; where nothing was measured a cell is a dash.
"""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from agent_evals.controls import ALWAYS, NEVER
from agent_evals.score import DECISIONS
from agent_evals.scores import Scores
from agent_evals.stats import Balanced, Share, rule_of_three
from agent_evals.suite import LABELS

Rows = list[list[str]]
NOTHING = "-"


def decisions(scores: Iterable[Scores]) -> Rows:
    """Does it know when to call? For configurations and controls alike."""
    rows = [["% [95% interval]", "balanced", "recall", "specificity", "MCC"]]
    for one in scores:
        balanced = one.balanced
        sure = one.configuration in (ALWAYS, NEVER)
        shares = [
            _hundred(s.value, 1) if sure and s.value == s.value else percent(s, 1)
            for s in (balanced, balanced.recall, balanced.specificity)
        ]
        mcc = f"{one.mcc:.2f}" if balanced.value == balanced.value else NOTHING
        rows.append([one.configuration, *shares, mcc])
    return rows


def tasks(scores: Iterable[Scores]) -> Rows:
    """Is the call right, and the answer?"""
    rows = [["% [95% interval]", "right call", "answers: tool", "direct", "abstains", "pairs"]]
    for one in scores:
        shares = (one.right_call, one.answers["tool"], one.answers["direct"])
        rows.append([one.configuration, *map(percent, (*shares, one.abstain, one.pairs))])
    return rows


def loops(scores: Iterable[Scores]) -> Rows:
    """Does it repeat itself, and are its calls fit to be executed?"""
    head = ["runs and calls", "repeat a call", "loop", "redundant", "excess/run", "malformed"]
    rows = [head]
    for one in scores:
        told = one.loops
        shares = (_rate(told.repeating), _rate(told.looped))
        counts = (str(told.repeated_calls), number(told.excess_per_run))
        calls = f"{one.malformed_calls}/{one.arguments.calls}"
        rows.append([one.configuration, *shares, *counts, calls])
    return rows


def costs(manifest: Mapping[str, Any], scores: Iterable[Scores]) -> Rows:
    """What a case costs, and the model itself."""
    rows = [["cost of a case", "s [quartiles]", "first", "in", "out", "disk", "memory", "load"]]
    for one in scores:
        cost, known = one.cost, entry(manifest, one.configuration)
        low, high = cost.quartiles
        rows.append(
            [
                one.configuration,
                f"{number(cost.seconds)} [{number(low)}-{number(high)}]",
                number(cost.first_token_seconds, "s"),
                f"{cost.input_tokens:.0f}",
                f"{cost.output_tokens:.0f}",
                size(known.get("disk_bytes")),
                size(known.get("peak_memory_bytes")),
                number(known.get("load_seconds"), "s"),
            ]
        )
    return rows


def matrix(one: Scores) -> Rows:
    """Runs by label and decision; labels that did not occur are left out."""
    rows = [
        [label, *(str(one.matrix[label, decision]) for decision in DECISIONS)]
        for label in LABELS
        if any(one.matrix[label, decision] for decision in DECISIONS)
    ]
    return [[one.configuration, *DECISIONS], *rows]


def subtypes(one: Scores) -> Rows:
    """The shares of each kind of case."""
    rows = [[one.configuration, "label", "n", "decision", "right call", "answer"]]
    for s in one.subtypes:
        shares = (s.decided, s.right_call, s.right_answer)
        rows.append([s.name, s.label, str(s.decided.n), *map(percent, shares)])
    return rows


def remarks(one: Scores) -> Iterator[str]:
    """What is known of a configuration's runs and does not fit a column."""
    broken = {name: n for name, n in one.endings.items() if name != "success"}
    for what, counts in (
        ("the guard stepped in", one.loops.interventions),
        ("no whole answer", broken),
    ):
        if counts:
            yield f"{what}: " + ", ".join(f"{name} {n}" for name, n in sorted(counts.items()))


def calls(one: Scores) -> str:
    """What became of a configuration's calls, in a sentence."""
    told = one.arguments
    return (
        f"{told.calls} calls, {told.known} of known tools, "
        f"{told.valid} with valid arguments; the suite's own call in {of(one.gold_calls)}"
    )


def cases(one: Scores) -> str:
    """What a configuration was asked, in a sentence."""
    kinds = {"tool": one.balanced.recall.n, "direct": one.balanced.specificity.n}
    kinds["abstain"] = one.abstain.n
    told = ", ".join(f"{n} {label}" for label, n in kinds.items() if n)
    epochs = f" x {one.epochs:g} epochs" if one.epochs > 1 else ""
    codebases = f"codebases: {one.codebases}, families: {one.families}"
    return f"{one.cases} cases ({told}){epochs}, {codebases}"


def entry(manifest: Mapping[str, Any], configuration: str) -> Mapping[str, Any]:
    """What the manifest says of a configuration."""
    known = manifest.get("configurations") or []
    return next((found for found in known if found.get("name") == configuration), {})


def percent(share: Share | Balanced, digits: int = 0) -> str:
    """The value and its interval in percent."""
    if share.value != share.value:
        return NOTHING
    value, low, high = (_hundred(x, digits) for x in (share.value, *share.interval))
    return f"{value} [{low}-{high}]"


def of(share: Share) -> str:
    """Hits and number of cases."""
    return f"{share.hits:g}/{share.n}" if share.n else NOTHING


def number(value: float | None, unit: str = "") -> str:
    """With two decimals."""
    if value is None or value != value:
        return NOTHING
    return f"{value:.2f} {unit}".rstrip()


def size(size: int | None) -> str:
    """Bytes as people read them."""
    if size is None:
        return NOTHING
    return f"{size / 1e9:.1f} GB" if size >= 1e9 else f"{size / 1e6:.0f} MB"


def _hundred(share: float, digits: int) -> str:
    return "100" if share == 1 else f"{100 * share:.{digits}f}"


def _rate(share: Share) -> str:
    """A count of runs; where it is none, what it is at most."""
    if share.n and not share.hits:
        return f"0 (<{rule_of_three(share.n):.1%})"
    return f"{share.hits:g} ({share.value:.1%})" if share.n else NOTHING
