"""From verdicts to figures: shares with their intervals, the confusion matrix, the controls."""

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from math import sqrt
from typing import get_args

from agent_evals.judge import Decision
from agent_evals.run import Scored

_Z = 1.959964  # 95 %
DECISIONS: tuple[Decision, ...] = get_args(Decision)


@dataclass(frozen=True)
class Share:
    """`hits` of `n`, with the 95 % Wilson interval."""

    hits: int
    n: int

    @property
    def value(self) -> float:
        """The share; NaN where there was nothing to count."""
        return self.hits / self.n if self.n else float("nan")

    @property
    def interval(self) -> tuple[float, float]:
        """Lower and upper bound."""
        if not self.n:
            return float("nan"), float("nan")
        p, n, z2 = self.value, self.n, _Z * _Z
        middle = (p + z2 / (2 * n)) / (1 + z2 / n)
        half = _Z / (1 + z2 / n) * sqrt(p * (1 - p) / n + z2 / (4 * n * n))
        return max(0.0, middle - half), min(1.0, middle + half)


@dataclass(frozen=True)
class Balanced:
    """The mean of recall and specificity; its interval combines theirs (Newcombe's method)."""

    recall: Share
    specificity: Share

    @property
    def value(self) -> float:
        return (self.recall.value + self.specificity.value) / 2

    @property
    def interval(self) -> tuple[float, float]:
        shares = (self.recall, self.specificity)
        down = sqrt(sum((s.value - s.interval[0]) ** 2 for s in shares)) / 2
        up = sqrt(sum((s.interval[1] - s.value) ** 2 for s in shares)) / 2
        return max(0.0, self.value - down), min(1.0, self.value + up)


@dataclass(frozen=True)
class Subtype:
    """The figures of one subtype."""

    name: str
    label: str
    decided: Share
    right_call: Share
    right_answer: Share


@dataclass(frozen=True)
class Scores:
    """Everything the report shows. `matrix` counts (label, decision)."""

    balanced: Balanced
    right_call: Share
    tool_answers: Share
    direct_answers: Share
    pairs: Share
    matrix: Counter[tuple[str, Decision]]
    subtypes: tuple[Subtype, ...]
    repeating_runs: int
    repeated_calls: int
    malformed_calls: int
    looped_runs: int
    interventions: Counter[str]
    endings: Counter[str]
    median_seconds: float
    tokens: int

    @property
    def n(self) -> int:
        """The number of cases."""
        return self.matrix.total()


def score(results: Sequence[Scored]) -> Scores:
    """The scores of finished cases."""
    tool = [r for r in results if r.label == "tool"]
    direct = [r for r in results if r.label == "direct"]
    seconds = sorted(r.seconds for r in results)
    return Scores(
        balanced=Balanced(_decided(tool), _decided(direct)),
        right_call=_share(tool, lambda r: r.verdict.right_call),
        tool_answers=_share(tool, lambda r: r.verdict.right_answer),
        direct_answers=_share(direct, lambda r: r.verdict.right_answer),
        pairs=_pairs(results),
        matrix=Counter((r.label, r.verdict.decision) for r in results),
        subtypes=_subtypes(results),
        repeating_runs=sum(r.verdict.repeated > 0 for r in results),
        repeated_calls=sum(r.verdict.repeated for r in results),
        malformed_calls=sum(r.verdict.malformed for r in results),
        looped_runs=sum(r.verdict.looped for r in results),
        interventions=Counter(i for r in results for i in r.interventions),
        endings=Counter(r.ended for r in results),
        median_seconds=seconds[len(seconds) // 2] if seconds else 0.0,
        tokens=sum(r.tokens for r in results),
    )


def always_call(scores: Scores) -> Balanced:
    """What calling a tool every time would score on the same cases."""
    b = scores.balanced
    return Balanced(Share(b.recall.n, b.recall.n), Share(0, b.specificity.n))


def never_call(scores: Scores) -> Balanced:
    """What answering every time would score on the same cases."""
    b = scores.balanced
    return Balanced(Share(0, b.recall.n), Share(b.specificity.n, b.specificity.n))


def _share(results: Iterable[Scored], hit: Callable[[Scored], bool | None]) -> Share:
    """The share of hits among the results for which the question is asked at all."""
    hits = [h for h in map(hit, results) if h is not None]
    return Share(sum(hits), len(hits))


def _decided(results: Iterable[Scored]) -> Share:
    return _share(results, lambda r: r.verdict.decided)


def _pairs(results: Sequence[Scored]) -> Share:
    """Pairs decided right on both sides, among those that were run whole."""
    sides: dict[str, list[Scored]] = {}
    for result in results:
        if result.pair is not None:
            sides.setdefault(result.pair, []).append(result)
    whole = [side for side in sides.values() if {r.label for r in side} == {"tool", "direct"}]
    return Share(sum(all(r.verdict.decided for r in side) for side in whole), len(whole))


def _subtypes(results: Sequence[Scored]) -> tuple[Subtype, ...]:
    groups: dict[tuple[str, str], list[Scored]] = {}
    for result in results:
        groups.setdefault((result.label, result.subtype), []).append(result)
    return tuple(
        Subtype(
            name,
            label,
            _decided(group),
            _share(group, lambda r: r.verdict.right_call),
            _share(group, lambda r: r.verdict.right_answer),
        )
        for (label, name), group in sorted(groups.items(), key=lambda g: (g[0][0] != "tool", g[0]))
    )
