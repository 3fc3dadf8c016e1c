"""When2Call's four outcomes, and two ways to have none: what was right against what was done."""

from collections import Counter
from collections.abc import Iterable

from agent_evals.public.check import said
from agent_evals.report import table
from agent_evals.store import Row

SUITE = "when2call"
OUTCOMES = {
    "tool_call": "call",
    "direct": "direct",
    "request_for_info": "ask",
    "cannot_answer": "cannot",
}
_DONE = (*OUTCOMES.values(), "malformed", "error")


def outcome(row: Row) -> str:
    """What a reply did: call, direct, ask or cannot, or else malformed or error."""
    decision = row.verdict.decision
    if decision == "answered":
        return said(row.answer)
    return "call" if decision == "called" else decision


def counted(rows: Iterable[Row]) -> Counter[tuple[str, str]]:
    """The rows of When2Call by (right outcome, outcome)."""
    return Counter((OUTCOMES[row.subtype], outcome(row)) for row in rows if row.subtype in OUTCOMES)


def macro_f1(counts: Counter[tuple[str, str]]) -> float:
    """The mean F1 over the outcomes that are right for some row, as When2Call reports it.

    NaN without rows. Source: Ross et al. 2025, arXiv 2504.18851.
    """
    right = [name for name in OUTCOMES.values() if any(wanted == name for wanted, _ in counts)]
    if not right:
        return float("nan")
    return sum(_f1(counts, name) for name in right) / len(right)


def _f1(counts: Counter[tuple[str, str]], name: str) -> float:
    both = counts[name, name]
    either = sum(((w == name) + (d == name)) * n for (w, d), n in counts.items())
    return 2 * both / either if either else 0.0


def report(rows: Iterable[Row]) -> str:
    """For each configuration the counts as a table, with their F1."""
    counts: dict[str, Counter[tuple[str, str]]] = {}
    for row in rows:
        counts.setdefault(row.configuration, Counter()).update(counted([row]))
    return "\n\n".join(_text(name, found) for name, found in counts.items())


def _text(configuration: str, counts: Counter[tuple[str, str]]) -> str:
    lines = [
        [wanted, *(str(counts[wanted, done]) for done in _DONE)]
        for wanted in OUTCOMES.values()
        if any(pair[0] == wanted for pair in counts)
    ]
    head = [f"{configuration}, right and done", *_DONE]
    return f"{table([head, *lines])}\nmacro F1 {macro_f1(counts) * 100:.1f}"
