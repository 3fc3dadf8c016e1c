"""From results to figures, one configuration at a time; the metrics are those of every report.

A case is worth the mean over its epochs, so that no case counts for more than another.
"""

from array import array
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from math import sqrt
from statistics import median
from typing import get_args

from agent import loops
from agent_evals.judge import Decision
from agent_evals.scores import Arguments, Cost, Loops, Scores, Subtype
from agent_evals.stats import Balanced, Point, Share, mean
from agent_evals.store import Row
from agent_evals.suite import LABELS
from agent_tools import TOOLS, WRITES

DECISIONS: tuple[Decision, ...] = get_args(Decision)
_OURS = frozenset(tool.__name__ for tool in TOOLS)


@dataclass
class _Case:
    """What became of a case: in each epoch whether it was decided right, else sums over them."""

    row: Row
    epochs: dict[int, bool] = field(default_factory=dict)
    right_call: float = 0
    right_answer: float = 0
    gold_call: float = 0

    def add(self, row: Row) -> None:
        self.epochs[row.epoch] = row.verdict.decided
        self.right_call += bool(row.verdict.right_call)
        self.right_answer += bool(row.verdict.right_answer)
        self.gold_call += bool(row.verdict.gold_call)

    @property
    def decided(self) -> int:
        return sum(self.epochs.values())

    def point(self, value: float) -> Point:
        return Point(value / len(self.epochs), self.row.fixture, family(self.row))


def family(row: Row) -> str:
    """What the case shares its wording with: its family, else its pair, else nothing else."""
    return row.family or (f"pair {row.pair}" if row.pair else f"case {row.id}")


class Tally:
    """Takes the results of one configuration as they come, and keeps only numbers of them.

    A second result of the same case and epoch is left out.
    """

    def __init__(self, configuration: str = "") -> None:
        self.configuration = configuration
        self._cases: dict[str, _Case] = {}
        self._weights: dict[str, None] = {}
        self._matrix: Counter[tuple[str, Decision]] = Counter()
        self._endings: Counter[str] = Counter()
        self._interventions: Counter[str] = Counter()
        self._lengths: Counter[tuple[int, bool]] = Counter()
        self._sums: Counter[str] = Counter()
        self._seconds, self._first = array("d"), array("d")
        self._overhead = 0.0

    def add(self, row: Row) -> None:
        """Count one result."""
        case = self._cases.setdefault(row.id, _Case(row.slim()))
        if row.epoch in case.epochs:
            return
        case.add(row)
        verdict = row.verdict
        if row.weights:
            self._weights[row.weights] = None
        self._matrix[row.label, verdict.decision] += 1
        self._endings[row.ended] += 1
        self._interventions.update(row.interventions)
        self._lengths[until_loop(row)] += 1
        self._sums.update(
            runs=1,
            repeating=verdict.repeated > 0,
            repeated=verdict.repeated,
            looped=verdict.looped,
            excess=verdict.excess,
            malformed=verdict.malformed,
            calls=len(row.calls) + (row.ended == "unparsed_tool_call"),
            known=sum(call.valid or call.name in _OURS for call in row.calls),
            valid=sum(call.valid for call in row.calls),
            input=row.usage.get("input_tokens", 0),
            output=row.tokens,
        )
        self._seconds.append(row.seconds)
        if row.first_token_seconds is not None:
            self._first.append(row.first_token_seconds)
        self._overhead += row.overhead_seconds

    @property
    def balanced(self) -> float:
        """The balanced accuracy so far; NaN before there is a case of both kinds."""
        return (mean(self._values("tool")) + mean(self._values("direct"))) / 2

    def _values(self, label: str) -> list[float]:
        cases = self._cases.values()
        return [c.decided / len(c.epochs) for c in cases if c.row.label == label]

    def scores(self) -> Scores:
        """The figures of what was added."""
        cases = list(self._cases.values())
        tool, direct, abstain = (_decided(c for c in cases if c.row.label == k) for k in LABELS)
        balanced = Balanced.of(tool, direct)
        sums = self._sums
        return Scores(
            configuration=self.configuration,
            cases=len(cases),
            runs=sums["runs"],
            codebases=len({c.row.fixture for c in cases}),
            families=len({family(c.row) for c in cases}),
            weights=tuple(self._weights),
            balanced=balanced,
            abstain=Share.of(abstain),
            mcc=matthews(balanced),
            pairs=_pairs(cases),
            right_call=_right_call(cases),
            gold_calls=_gold_call(cases),
            answers={k: _right_answer(c for c in cases if c.row.label == k) for k in LABELS},
            matrix=self._matrix.copy(),
            subtypes=_subtypes(cases),
            arguments=Arguments(sums["calls"], sums["known"], sums["valid"]),
            malformed_calls=sums["malformed"],
            loops=self._loops(),
            cost=self._cost(),
            endings=self._endings.copy(),
        )

    def _loops(self) -> Loops:
        runs = self._sums["runs"]
        return Loops(
            repeating=Share.counted(self._sums["repeating"], runs),
            looped=Share.counted(self._sums["looped"], runs),
            repeated_calls=self._sums["repeated"],
            excess_per_run=self._per_run("excess"),
            interventions=self._interventions.copy(),
            lengths=self._lengths.copy(),
        )

    def _cost(self) -> Cost:
        ordered = sorted(self._seconds)
        quarter = len(ordered) // 4
        nan = float("nan")
        total = sum(ordered)
        return Cost(
            seconds=median(ordered) if ordered else nan,
            quartiles=(ordered[quarter], ordered[-1 - quarter]) if ordered else (nan, nan),
            first_token_seconds=median(self._first) if self._first else nan,
            input_tokens=self._per_run("input"),
            output_tokens=self._per_run("output"),
            overhead=self._overhead / total if total else nan,
        )

    def _per_run(self, what: str) -> float:
        runs = self._sums["runs"]
        return self._sums[what] / runs if runs else float("nan")


def score(rows: Iterable[Row], configuration: str = "") -> Scores:
    """The scores of one configuration's results."""
    tally = Tally(configuration)
    for row in rows:
        tally.add(row)
    return tally.scores()


def by_configuration(rows: Iterable[Row]) -> dict[str, Scores]:
    """The scores of every configuration, in the order in which they first occur."""
    tallies: dict[str, Tally] = {}
    for row in rows:
        tallies.setdefault(row.configuration, Tally(row.configuration)).add(row)
    return {name: tally.scores() for name, tally in tallies.items()}


def matthews(balanced: Balanced) -> float:
    """Matthews' coefficient; a failed run counts as the wrong one of calling and answering."""
    hit, miss = _counts(balanced.recall)
    rest, false = _counts(balanced.specificity)
    product = (hit + false) * (hit + miss) * (rest + false) * (rest + miss)
    return (hit * rest - false * miss) / sqrt(product) if product > 0 else 0.0


def _counts(share: Share) -> tuple[float, float]:
    return share.hits, share.n - share.hits


def until_loop(row: Row) -> tuple[int, bool]:
    """The number of calls until the first loop, or of all calls; and whether there was a loop."""
    done: list[loops.Call] = []
    for number, call in enumerate(row.calls, 1):
        key = loops.call_key(call.name, call.arguments)
        if call.outcome == "skipped":
            again = loops.predicted(done, key)
        else:
            ok = call.outcome == "ok"
            again = loops.Call(
                key, loops.result_hash(call.result), ok and call.name in WRITES, not ok
            )
        done.append(again)
        if loops.find(done):
            return number, True
    return len(row.calls), row.verdict.looped


def _decided(cases: Iterable[_Case]) -> list[Point]:
    return [c.point(c.decided) for c in cases]


def _right_call(cases: Iterable[_Case]) -> Share:
    asked = (c for c in cases if c.row.verdict.right_call is not None)
    return Share.of(c.point(c.right_call) for c in asked)


def _gold_call(cases: Iterable[_Case]) -> Share:
    asked = (c for c in cases if c.row.verdict.gold_call is not None)
    return Share.of(c.point(c.gold_call) for c in asked)


def _right_answer(cases: Iterable[_Case]) -> Share:
    asked = (c for c in cases if c.row.verdict.right_answer is not None)
    return Share.of(c.point(c.right_answer) for c in asked)


def _pairs(cases: Iterable[_Case]) -> Share:
    """Pairs decided right on all sides of the same epoch, among those that were run whole."""
    pairs: dict[str, list[_Case]] = {}
    for case in cases:
        if case.row.pair is not None:
            pairs.setdefault(case.row.pair, []).append(case)
    return Share.of(
        Point(mean(right), sides[0].row.fixture, family(sides[0].row))
        for sides in pairs.values()
        if len(sides) > 1 and (right := _all_right(sides))
    )


def _all_right(sides: Sequence[_Case]) -> list[bool]:
    common = set.intersection(*(set(side.epochs) for side in sides))
    return [all(side.epochs[epoch] for side in sides) for epoch in sorted(common)]


def _subtypes(cases: Iterable[_Case]) -> tuple[Subtype, ...]:
    groups: dict[tuple[int, str], list[_Case]] = {}
    for case in cases:
        groups.setdefault((LABELS.index(case.row.label), case.row.subtype), []).append(case)
    return tuple(
        Subtype(
            name, LABELS[label], Share.of(_decided(group)), _right_call(group), _right_answer(group)
        )
        for (label, name), group in sorted(groups.items())
    )
