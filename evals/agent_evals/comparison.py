"""Two configurations on the cases that both have: the differences, paired case by case.

Every figure is of paired cases: the same case and epoch in both.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from agent.exits import UsageError
from agent_evals.judge import Verdict
from agent_evals.paired import Difference, difference, holm
from agent_evals.score import family
from agent_evals.stats import Point, mean
from agent_evals.store import Row
from agent_evals.suite import LABELS

Measure = Callable[[Verdict], bool | None]


def _decided(verdict: Verdict) -> bool:
    return verdict.decided


def _right_call(verdict: Verdict) -> bool | None:
    return verdict.right_call


def _right_answer(verdict: Verdict) -> bool | None:
    return verdict.right_answer


MEASURES: dict[str, Measure] = {
    "decision": _decided,
    "right call": _right_call,
    "right answer": _right_answer,
}


@dataclass(frozen=True)
class Pair:
    """A case in both runs: its results in the epochs that both have."""

    first: tuple[Row, ...]
    second: tuple[Row, ...]

    @property
    def case(self) -> Row:
        """The case itself."""
        return self.first[0]

    def sides(self, measure: Measure) -> tuple[float, float] | None:
        """The means over the epochs, before and after; None where the case does not ask."""
        sides = [[measure(row.verdict) for row in rows] for rows in (self.first, self.second)]
        if any(value is None for side in sides for value in side):
            return None
        before, after = (mean(bool(value) for value in side) for side in sides)
        return before, after

    def change(self, measure: Measure) -> Point | None:
        """By how much the second run is better, from -1 to 1; None where the case does not ask."""
        sides = self.sides(measure)
        if sides is None:
            return None
        return Point(sides[1] - sides[0], self.case.fixture, family(self.case))


@dataclass(frozen=True)
class Line:
    """One compared figure; `before` and `after` are of the paired cases."""

    name: str
    before: float
    after: float
    difference: Difference


@dataclass(frozen=True)
class Comparison:
    """Two configurations on the cases both have; `subtypes` by (label, subtype).

    `left_out` counts results that only one of them has, `missing` those that the second lacks.
    `corrected` are the chances of the subtypes' differences in decision, corrected by Holm.
    """

    names: tuple[str, str]
    pairs: tuple[Pair, ...]
    left_out: int
    missing: int
    lines: tuple[Line, ...]
    subtypes: dict[tuple[str, str], Difference]
    corrected: dict[tuple[str, str], float]

    @property
    def balanced(self) -> float:
        """The second one's balanced accuracy; NaN where a kind of case is missing."""
        return next((line.after for line in self.lines if line.name == "balanced"), float("nan"))

    @property
    def regressions(self) -> list[str]:
        """What got worse beyond chance."""
        worse = [line.name for line in self.lines if line.difference.is_worse]
        subtypes = (
            f"{label}/{name}"
            for (label, name), found in self.subtypes.items()
            if found.is_worse and self.corrected[label, name] < 0.05
        )
        return [*worse, *subtypes]


def compare(first: Sequence[Row], second: Sequence[Row]) -> Comparison:
    """The second configuration held against the first.

    Raises:
        UsageError: they have no case and epoch in common.
        AgentError: scipy or statsmodels is not installed.
    """
    pairs = tuple(_pairs(first, second))
    if not pairs:
        raise UsageError("The two runs have no finished case in common; let one of them go on.")
    before, after = ({(row.id, row.epoch) for row in rows} for rows in (first, second))
    subtypes = _by_subtype(pairs)
    chances = holm([found.p for found in subtypes.values()])
    return Comparison(
        names=(first[0].configuration, second[0].configuration),
        pairs=pairs,
        left_out=len(before ^ after),
        missing=len(before - after),
        lines=tuple(_lines(pairs)),
        subtypes=subtypes,
        corrected=dict(zip(subtypes, chances, strict=True)),
    )


def _pairs(first: Sequence[Row], second: Sequence[Row]) -> Iterator[Pair]:
    before, after = ({(row.id, row.epoch): row for row in rows} for rows in (first, second))
    common: dict[str, list[int]] = {}
    for case, epoch in before:
        if (case, epoch) in after:
            common.setdefault(case, []).append(epoch)
    for case, epochs in common.items():
        yield Pair(*(tuple(run[case, epoch] for epoch in epochs) for run in (before, after)))


def _lines(pairs: Sequence[Pair]) -> Iterator[Line]:
    """The balanced accuracy, its parts, and the right calls and answers."""
    kinds = {label: [p for p in pairs if p.case.label == label] for label in LABELS}
    if kinds["tool"] and kinds["direct"]:
        yield _line("balanced", _decided, kinds["tool"], kinds["direct"])
    for name, label in zip(("recall", "specificity", "abstains"), LABELS, strict=True):
        if kinds[label]:
            yield _line(name, _decided, kinds[label])
    for name, measure in MEASURES.items():
        asked = [p for p in pairs if p.sides(measure) is not None]
        if asked and measure is not _decided:
            yield _line(name, measure, asked)


def _line(name: str, measure: Measure, *parts: Sequence[Pair]) -> Line:
    sides = [[side for p in part if (side := p.sides(measure))] for part in parts]
    before, after = (mean(mean(side[i] for side in part) for part in sides) for i in (0, 1))
    changes = [[change for p in part if (change := p.change(measure))] for part in parts]
    return Line(name, before, after, difference(*changes))


def _by_subtype(pairs: Sequence[Pair]) -> dict[tuple[str, str], Difference]:
    groups: dict[tuple[str, str], list[Point]] = {}
    for pair in sorted(pairs, key=lambda p: (LABELS.index(p.case.label), p.case.subtype)):
        if (change := pair.change(_decided)) is not None:
            groups.setdefault((pair.case.label, pair.case.subtype), []).append(change)
    return {key: difference(group) for key, group in groups.items()}
