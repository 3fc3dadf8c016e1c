"""The scores as text, 80 columns wide, and a sentence that says what they mean."""

import textwrap
from collections.abc import Mapping, Sequence
from typing import Any

from agent_evals import tables
from agent_evals.controls import WORDS
from agent_evals.scores import Scores

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
        _named(tables.decisions([*each, *controls.values()]), [hint or ""]),
        _named(tables.tasks(each), [_told(one, tables.calls(one)) for one in each]),
        _named(tables.loops(each), [_told(one, r) for one in each for r in tables.remarks(one)]),
        _named(tables.costs(manifest, each)),
        *(_named(rows(one)) for one in each for rows in (tables.matrix, tables.subtypes)),
        wrapped(meaning(scores, controls), ""),
    ]
    return "\n\n".join(filter(None, parts))


def _title(manifest: Mapping[str, Any], scores: Sequence[Scores]) -> str:
    split = f" ({split} split)" if (split := manifest.get("split")) else ""
    lines = [f"suite {manifest.get('suite', tables.NOTHING)}{split}"]
    for one in scores:
        weights = ", ".join(one.weights) or "the endpoint reports no hash of its weights"
        lines += [wrapped(f"{one.configuration} ({weights})"), f"  {tables.cases(one)}"]
    return "\n".join(lines)


def _named(rows: tables.Rows, remarks: Sequence[str] = ()) -> str:
    """The table with names that fit, and what is said below it."""
    shown = table([[short(name), *cells] for name, *cells in rows])
    return "\n".join(filter(None, [shown, *remarks]))


def _told(one: Scores, remark: str) -> str:
    return wrapped(f"{short(one.configuration)}: {remark}")


def meaning(scores: Mapping[str, Scores], controls: Mapping[str, Scores]) -> str:
    """One sentence: is the best one better than a coin and than its wording, where does it fail?"""
    best = max(scores.values(), key=lambda one: _or_nothing(one.balanced.value), default=None)
    if best is None:
        return "There are no results."
    balanced, name = best.balanced, best.configuration
    if balanced.value != balanced.value:
        return "Only one kind of case was run, so nothing can be said about telling them apart."
    low = balanced.interval[0]
    if balanced.value <= 0.5:
        return f"{name} tells the two kinds of question apart no better than chance (50%)."
    if low <= 0.5:
        return (
            f"{name} decides {balanced.value:.0%} right, but these cases are too few, or of too "
            f"few codebases, to say that it beats chance: the interval begins at {low:.0%}."
        )
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
        f"of the questions about the code it made the right call for {tables.of(best.right_call)}."
    )


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


def _or_nothing(value: float) -> float:
    return value if value == value else -1.0
