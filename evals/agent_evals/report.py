"""The scores as text, 80 columns wide, and a sentence that says what they mean."""

import textwrap
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from agent_evals.controls import ALWAYS, NEVER, WORDS
from agent_evals.score import DECISIONS
from agent_evals.scores import Scores
from agent_evals.stats import Balanced, Share, rule_of_three
from agent_evals.suite import LABELS

_NOTHING = "-"
_NAME = 16  # characters of a name in a table


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


def report(
    manifest: Mapping[str, Any],
    scores: Mapping[str, Scores],
    controls: Mapping[str, Scores],
    hint: str | None = None,
) -> str:
    """The whole report: a row for each configuration and each control, then the details.

    `hint` is a sentence about a control that is missing.
    """
    each = list(scores.values())
    parts = [
        _title(manifest, each),
        "\n".join(filter(None, [_decisions([*each, *controls.values()]), hint])),
        _tasks(each),
        _loops(each),
        _costs(manifest, each),
        *(part for one in each for part in (_matrix(one), _subtypes(one))),
        wrapped(meaning(scores, controls), ""),
    ]
    return "\n\n".join(filter(None, parts))


def _title(manifest: Mapping[str, Any], scores: Sequence[Scores]) -> str:
    split = f" ({split} split)" if (split := manifest.get("split")) else ""
    lines = [f"suite {manifest.get('suite', _NOTHING)}{split}"]
    for one in scores:
        weights = ", ".join(one.weights) or "the endpoint reports no hash of its weights"
        kinds = {"tool": one.balanced.recall.n, "direct": one.balanced.specificity.n}
        kinds["abstain"] = one.abstain.n
        cases = ", ".join(f"{n} {label}" for label, n in kinds.items() if n)
        epochs = f" x {one.epochs:g} epochs" if one.epochs > 1 else ""
        lines += [
            wrapped(f"{one.configuration} ({weights})"),
            f"  {one.cases} cases ({cases}){epochs}, "
            f"codebases: {one.codebases}, families: {one.families}",
        ]
    return "\n".join(lines)


def _decisions(scores: Iterable[Scores]) -> str:
    rows = [["% [95% interval]", "balanced", "recall", "specificity", "MCC"]]
    for one in scores:
        balanced = one.balanced
        sure = one.configuration in (ALWAYS, NEVER)
        shares = [
            _hundred(s.value, 1) if sure and s.value == s.value else percent(s, 1)
            for s in (balanced, balanced.recall, balanced.specificity)
        ]
        mcc = f"{one.mcc:.2f}" if balanced.value == balanced.value else _NOTHING
        rows.append([short(one.configuration), *shares, mcc])
    return table(rows)


def _tasks(scores: Sequence[Scores]) -> str:
    rows = [["% [95% interval]", "right call", "answers: tool", "direct", "abstains", "pairs"]]
    for one in scores:
        shares = (one.right_call, one.answers["tool"], one.answers["direct"])
        rows.append([short(one.configuration), *map(percent, (*shares, one.abstain, one.pairs))])
    return "\n".join([table(rows), *map(_calls, scores)])


def _calls(one: Scores) -> str:
    told = one.arguments
    return wrapped(
        f"{short(one.configuration)}: {told.calls} calls, {told.known} of known tools, "
        f"{told.valid} with valid arguments; the suite's own call in {of(one.gold_calls)}"
    )


def _loops(scores: Sequence[Scores]) -> str:
    head = ["runs and calls", "repeat a call", "loop", "redundant", "excess/run", "malformed"]
    rows = [head]
    for one in scores:
        loops = one.loops
        shares = (_rate(loops.repeating), _rate(loops.looped))
        counts = (str(loops.repeated_calls), _number(loops.excess_per_run))
        calls = f"{one.malformed_calls}/{one.arguments.calls}"
        rows.append([short(one.configuration), *shares, *counts, calls])
    lines = [table(rows)]
    for one in scores:
        broken = {name: n for name, n in one.endings.items() if name != "success"}
        lines += _told(one, "the guard stepped in", one.loops.interventions)
        lines += _told(one, "no whole answer", broken)
    return "\n".join(lines)


def _told(one: Scores, what: str, counts: Mapping[str, int]) -> list[str]:
    told = ", ".join(f"{name} {n}" for name, n in sorted(counts.items()))
    return [f"{short(one.configuration)}: {what}: {told}"] if told else []


def _costs(manifest: Mapping[str, Any], scores: Iterable[Scores]) -> str:
    known = {entry.get("name"): entry for entry in manifest.get("configurations") or []}
    rows = [["cost of a case", "s [quartiles]", "first", "in", "out", "disk", "memory", "load"]]
    for one in scores:
        cost, entry = one.cost, known.get(one.configuration) or {}
        low, high = cost.quartiles
        rows.append(
            [
                short(one.configuration),
                f"{_number(cost.seconds)} [{_number(low)}-{_number(high)}]",
                _number(cost.first_token_seconds, "s"),
                f"{cost.input_tokens:.0f}",
                f"{cost.output_tokens:.0f}",
                _size(entry.get("disk_bytes")),
                _size(entry.get("peak_memory_bytes")),
                _number(entry.get("load_seconds"), "s"),
            ]
        )
    return table(rows)


def _matrix(one: Scores) -> str:
    rows = [
        [label, *(str(one.matrix[label, decision]) for decision in DECISIONS)]
        for label in LABELS
        if any(one.matrix[label, decision] for decision in DECISIONS)
    ]
    return table([[short(one.configuration), *DECISIONS], *rows])


def _subtypes(one: Scores) -> str:
    rows = [[short(one.configuration), "label", "n", "decision", "right call", "answer"]]
    for s in one.subtypes:
        shares = (s.decided, s.right_call, s.right_answer)
        rows.append([short(s.name), s.label, str(s.decided.n), *map(percent, shares)])
    return table(rows)


def meaning(scores: Mapping[str, Scores], controls: Mapping[str, Scores]) -> str:
    """One sentence: is the best one better than a coin and than its wording, where does it fail?"""
    best = max(scores.values(), key=lambda one: _or_nothing(one.balanced.value), default=None)
    if best is None:
        return "There are no results."
    balanced, name = best.balanced, best.configuration
    if balanced.value != balanced.value:
        return "Only one kind of case was run, so nothing can be said about telling them apart."
    low = balanced.interval[0]
    if low <= 0.5:
        return f"{name} tells the two kinds of question apart no better than chance (50%)."
    words = controls[WORDS].balanced.value if WORDS in controls else 0.0
    rivals = "always or never calling gets 50%" + (f" and a bag of words {words:.0%}" * (words > 0))
    if low <= words:
        return (
            f"{name} decides {balanced.value:.0%} right, which is no better than a bag of words "
            f"that knows nothing of the code ({words:.0%})."
        )
    missed = balanced.recall.n - balanced.recall.hits
    eager = balanced.specificity.n - balanced.specificity.hits
    which = f"Best of {len(scores)}, {name}" if len(scores) > 1 else name
    return (
        f"{which} decides {balanced.value:.0%} right where {rivals}: "
        f"it failed to look {missed:g} times and to answer at once {eager:g} times; "
        f"of the questions about the code it made the right call for {of(best.right_call)}."
    )


def percent(share: Share | Balanced, digits: int = 0) -> str:
    """The value and its interval in percent."""
    if share.value != share.value:
        return _NOTHING
    value, low, high = (_hundred(x, digits) for x in (share.value, *share.interval))
    return f"{value} [{low}-{high}]"


def _hundred(share: float, digits: int) -> str:
    return "100" if share == 1 else f"{100 * share:.{digits}f}"


def of(share: Share) -> str:
    """Hits and number of cases."""
    return f"{share.hits:g}/{share.n}" if share.n else _NOTHING


def wrapped(text: str, indent: str = "  ") -> str:
    """The text in lines of at most 80 columns, those after the first indented."""
    return textwrap.fill(
        text, 80, subsequent_indent=indent, break_long_words=False, break_on_hyphens=False
    )


def short(name: str) -> str:
    """A name that fits a column; a long one loses its middle."""
    if len(name) <= _NAME:
        return name
    half = (_NAME - 1) // 2
    return f"{name[: _NAME - 1 - half]}…{name[-half:]}"


def _rate(share: Share) -> str:
    """A count of runs; where it is none, what it is at most."""
    if share.n and not share.hits:
        return f"0 (<{rule_of_three(share.n):.1%})"
    return f"{share.hits:g} ({share.value:.1%})" if share.n else _NOTHING


def _number(value: float | None, unit: str = "") -> str:
    if value is None or value != value:
        return _NOTHING
    return f"{value:.2f} {unit}".rstrip()


def _size(size: int | None) -> str:
    if size is None:
        return _NOTHING
    return f"{size / 1e9:.1f} GB" if size >= 1e9 else f"{size / 1e6:.0f} MB"


def _or_nothing(value: float) -> float:
    return value if value == value else -1.0
