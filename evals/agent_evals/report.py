"""The scores as text: tables for people, and a sentence that says what they mean."""

from collections.abc import Sequence
from dataclasses import dataclass

from agent_evals.score import (
    DECISIONS,
    Balanced,
    Scores,
    Share,
    always_call,
    never_call,
)

_NOTHING = "-"


@dataclass(frozen=True)
class Header:
    """What was measured, as the endpoint reports it."""

    model: str
    weights: str | None
    suite: str
    seconds: float
    concurrency: int


def table(rows: Sequence[Sequence[str]]) -> str:
    """Aligned columns, the first to the left and the others to the right; no trailing blanks."""
    widths = [max(len(cell) for cell in column) for column in zip(*rows, strict=True)]
    lines = (
        "  ".join(
            cell.ljust(width) if index == 0 else cell.rjust(width)
            for index, (cell, width) in enumerate(zip(row, widths, strict=True))
        )
        for row in rows
    )
    return "\n".join(line.rstrip() for line in lines)


def report(header: Header, scores: Scores) -> str:
    """The whole report."""
    return "\n\n".join(
        [
            _title(header, scores),
            _main(header.model, scores),
            _matrix(scores),
            _details(scores),
            _subtypes(scores),
            meaning(header.model, scores),
        ]
    )


def _title(header: Header, scores: Scores) -> str:
    tool, direct = scores.balanced.recall.n, scores.balanced.specificity.n
    weights = header.weights or "the endpoint reports no hash"
    return (
        f"{header.model} ({weights})\n"
        f"suite {header.suite}: {scores.n} cases ({tool} tool, {direct} direct) "
        f"in {header.seconds:.0f} s, {header.concurrency} at once, "
        f"median {scores.median_seconds:.2f} s and {scores.tokens / max(1, scores.n):.0f} tokens "
        "written per case"
    )


def _main(model: str, scores: Scores) -> str:
    head = ["% [95% interval]", "balanced", "recall", "specificity", "right tool+arguments"]
    rows = [head, [model, *_decision(scores.balanced), _percent(scores.right_call)]]
    rows.append(["always-call", *_decision(always_call(scores)), _NOTHING])
    nothing = Share(0, scores.right_call.n)
    rows.append(["never-call", *_decision(never_call(scores)), _percent(nothing)])
    return table(rows)


def _decision(balanced: Balanced) -> list[str]:
    return [_percent(part) for part in (balanced, balanced.recall, balanced.specificity)]


def _percent(share: Share | Balanced) -> str:
    if share.value != share.value:
        return _NOTHING
    low, high = share.interval
    return f"{share.value * 100:.1f} [{low * 100:.1f}-{high * 100:.1f}]"


def _matrix(scores: Scores) -> str:
    rows = [
        [label, *(str(scores.matrix[label, decision]) for decision in DECISIONS)]
        for label in ("tool", "direct")
    ]
    return table([["decision", *DECISIONS], *rows])


def _details(scores: Scores) -> str:
    other = {name: n for name, n in scores.endings.items() if name != "success"}
    return table(
        [
            ["answer checks, tool cases", _of(scores.tool_answers)],
            ["answer checks, direct cases", _of(scores.direct_answers)],
            ["pairs, both sides right", _of(scores.pairs)],
            ["runs that repeat a call", str(scores.repeating_runs)],
            ["repeated calls", str(scores.repeated_calls)],
            ["malformed calls", str(scores.malformed_calls)],
            ["runs that loop", str(scores.looped_runs)],
            ["guard interventions", _counts(scores.interventions)],
            ["runs without a whole answer", _counts(other)],
        ]
    )


def _of(share: Share) -> str:
    return f"{share.hits}/{share.n}" if share.n else _NOTHING


def _counts(counts: dict[str, int]) -> str:
    return ", ".join(f"{name} {n}" for name, n in sorted(counts.items())) or "0"


def _subtypes(scores: Scores) -> str:
    rows = [["subtype", "label", "n", "decision", "tool+arguments", "answer"]]
    for s in scores.subtypes:
        shares = (s.decided, s.right_call, s.right_answer)
        rows.append([s.name, s.label, str(s.decided.n), *map(_of, shares)])
    return table(rows)


def meaning(model: str, scores: Scores) -> str:
    """One sentence: is this better than a coin, and where does it fail more?"""
    balanced = scores.balanced
    if balanced.value != balanced.value:
        return "Only one kind of case was run, so nothing can be said about telling them apart."
    low, high = balanced.interval
    if low <= 0.5 <= high:
        return f"{model} tells the two kinds of question apart no better than chance (50%)."
    missed = balanced.recall.n - balanced.recall.hits
    eager = balanced.specificity.n - balanced.specificity.hits
    return (
        f"{model} decides {balanced.value:.0%} right where always or never calling gets 50%: "
        f"it failed to look {missed} times and to answer at once {eager} times; "
        f"of the questions about the code it made the right call for {_of(scores.right_call)}."
    )
