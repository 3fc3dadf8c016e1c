"""What needs no model: the rows of every table without which its figures say nothing.

Calling every time and never calling both score 50 % balanced accuracy. The bag of words is how far
the wording alone gives the label away: a logistic regression on word counts, cross-validated so
that it never saw the family of the question that it decides.
"""

import hashlib
import re
from collections.abc import Iterable, Sequence
from dataclasses import replace
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

from agent.installing import command
from agent_evals.judge import Decision, Verdict
from agent_evals.paired import needed
from agent_evals.score import family, score
from agent_evals.scores import Scores
from agent_evals.store import Row

if TYPE_CHECKING:
    from collections.abc import Callable

    import numpy as np

    Predict = Callable[[Any], np.ndarray]

ALWAYS, NEVER, WORDS = "always-call", "never-call", "bag of words"
_FOLDS = 10
_PENALTY = 1.0  # L2; the constant is free of it


def controls(rows: Iterable[Row]) -> dict[str, Scores]:
    """The scores of the controls by name, on the cases of these rows.

    Their calls and answers are not judged. The bag of words is left out where scipy is not
    installed: `missing` says so.
    """
    cases = list({row.id: _question(row) for row in rows if row.label != "abstain"}.values())
    found = {
        ALWAYS: _scores(ALWAYS, cases, [True] * len(cases)),
        NEVER: _scores(NEVER, cases, [False] * len(cases)),
    }
    if missing() is None:
        found[WORDS] = _scores(WORDS, cases, by_words(cases))
    return found


def _question(row: Row) -> Row:
    return replace(row.slim(), question=row.question)


def missing() -> str | None:
    """A sentence for the control that cannot be made in this installation."""
    if find_spec("scipy") is not None:
        return None
    return f"The control {WORDS!r} needs scipy; to install it: {command('bench')}"


def _scores(name: str, cases: Sequence[Row], calls: Sequence[bool]) -> Scores:
    return score((_as_if(row, c) for row, c in zip(cases, calls, strict=True)), name)


def _as_if(row: Row, calls: bool) -> Row:
    """The result of a run that did nothing but decide."""
    decision: Decision = "called" if calls else "answered"
    decided = calls == (row.label == "tool")
    verdict = Verdict(decision, decided, None, None, repeated=0, malformed=0, looped=False)
    return replace(row, epoch=0, calls=(), interventions=(), model={}, verdict=verdict)


def by_words(cases: Sequence[Row]) -> list[bool]:
    """Whether a bag of words would call, for each case; the others' families teach it.

    Raises:
        AgentError: scipy is not installed.
    """
    import numpy as np

    counts = _counts([row.question for row in cases])
    wanted = np.array([row.label == "tool" for row in cases])
    folds = np.array([_fold(family(row)) for row in cases])
    calls = np.zeros(len(cases), dtype=bool)
    for fold in range(_FOLDS):
        unseen = folds == fold
        if unseen.any():
            predict = _learn(counts[~unseen], wanted[~unseen])
            calls[unseen] = predict(counts[unseen])
    return [bool(call) for call in calls]


def _fold(group: str) -> int:
    return int.from_bytes(hashlib.sha256(group.encode()).digest()[:8], "big") % _FOLDS


def _counts(texts: Sequence[str]) -> Any:
    """A row for each text, a column for each word, and one column of ones."""
    columns: dict[str, int] = {"": 0}
    places: list[tuple[int, int]] = []
    for number, text in enumerate(texts):
        words = ["", *re.findall(r"\w+", text.lower())]
        places += [(number, columns.setdefault(word, len(columns))) for word in words]
    shape = len(texts), len(columns)
    ones, indices = [1.0] * len(places), tuple(zip(*places, strict=True)) or ((), ())
    return needed("scipy.sparse").csr_array((ones, indices), shape=shape)


def _learn(counts: Any, wanted: "np.ndarray") -> "Predict":
    """A logistic regression in which both labels weigh the same."""
    import numpy as np

    if wanted.all() or not wanted.any():
        constant = bool(wanted.any())
        return lambda new: np.full(new.shape[0], constant)
    signs = np.where(wanted, 1.0, -1.0)
    weights = len(wanted) / (2 * np.where(wanted, wanted.sum(), (~wanted).sum()))
    expit = needed("scipy.special").expit

    def loss(w: "np.ndarray") -> tuple[float, "np.ndarray"]:
        margins = signs * (counts @ w)
        penalty = _PENALTY * np.concatenate(([0.0], w[1:]))
        value = (weights * np.logaddexp(0.0, -margins)).sum() + (penalty * w).sum() / 2
        return float(value), counts.T @ (-weights * signs * expit(-margins)) + penalty

    start = np.zeros(counts.shape[1])
    found = needed("scipy.optimize").minimize(loss, start, jac=True, method="L-BFGS-B")
    return lambda new: np.asarray(new @ found.x > 0)
