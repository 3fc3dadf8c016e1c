"""Intervals for cases that are not independent: they share codebases and families.

Sources: the variance of a mean over two crossed clusterings is that of Cameron, Gelbach and Miller,
"Robust Inference With Multiway Clustering", J. Business & Economic Statistics 29(2), 2011; a share
takes it as Wilson's interval at the effective sample size (Korn and Graubard, Survey Methodology
24(2), 1998; Dean and Pagano, J. Survey Statistics and Methodology 3(4), 2015), which stays within
0 and 1 and is not empty where all cases agree; two shares are combined by MOVER (Zou and Donner,
Statistics in Medicine 27(10), 2008). All intervals are at 95 %.
"""

from collections import defaultdict
from collections.abc import Callable, Hashable, Iterable, Sequence
from dataclasses import dataclass
from math import sqrt
from typing import NamedTuple

Interval = tuple[float, float]
Z = 1.959964  # 95 % of the normal distribution
_T = (12.706205, 4.302653)  # the same of Student's with 1 and 2 degrees of freedom
_NAN = float("nan")


class Point(NamedTuple):
    """A case in a mean: its value (averaged over its epochs) and what it shares with others."""

    value: float
    codebase: str
    family: str


@dataclass(frozen=True)
class Share:
    """The mean of `n` values between 0 and 1; `effective`: as how many independent ones they count.

    Without clusters and epochs `effective` is `n`, and the interval is Wilson's.
    """

    value: float
    n: int
    effective: float

    @classmethod
    def of(cls, points: Iterable[Point]) -> "Share":
        """The share over these cases; NaN where there is none."""
        points = list(points)
        n = len(points)
        value = mean(p.value for p in points)
        return cls(value, n, _effective(points, value) if n else 0.0)

    @classmethod
    def counted(cls, hits: int, n: int) -> "Share":
        """The share of `hits` among `n` independent events; NaN where there was none."""
        return cls(hits / n if n else _NAN, n, float(n))

    @property
    def hits(self) -> float:
        """How many of the `n`; a whole number where there is one epoch."""
        return round(self.value * self.n, 6) if self.n else 0

    @property
    def interval(self) -> Interval:
        """Lower and upper bound; NaN where there was nothing to count."""
        return wilson(self.value, self.effective) if self.n else (_NAN, _NAN)


def wilson(p: float, n: float) -> Interval:
    """Wilson's score interval of a share `p` among `n` (JASA 22, 1927)."""
    z2 = Z * Z
    middle = (p + z2 / (2 * n)) / (1 + z2 / n)
    half = Z / (1 + z2 / n) * sqrt(p * (1 - p) / n + z2 / (4 * n * n))
    return max(0.0, min(p, middle - half)), min(1.0, max(p, middle + half))


def rule_of_three(n: int) -> float:
    """The upper bound of a rate where none of `n` was hit (Hanley, Lippman-Hand, JAMA 1983)."""
    return min(1.0, 3 / n) if n else 1.0


def student(df: int) -> float:
    """95 % of Student's t with `df` degrees of freedom, to 0.004 (Abramowitz, Stegun 26.7.5)."""
    if df <= len(_T):
        return _T[max(1, df) - 1]
    z = Z
    return (
        z
        + (z**3 + z) / (4 * df)
        + (5 * z**5 + 16 * z**3 + 3 * z) / (96 * df**2)
        + (3 * z**7 + 19 * z**5 + 17 * z**3 - 15 * z) / (384 * df**3)
        + (79 * z**9 + 776 * z**7 + 1482 * z**5 - 1920 * z**3 - 945 * z) / (92160 * df**4)
    )


def mean(values: Iterable[float]) -> float:
    """The arithmetic mean; NaN of nothing."""
    values = list(values)
    return sum(values) / len(values) if values else _NAN


class Variance(NamedTuple):
    """The variance of a sum of influences, and the clusters it was estimated from."""

    value: float
    clusters: int


def two_way(moves: Sequence[Point], parameters: int = 1) -> Variance:
    """The variance of the sum of the influences (what each case moves an estimate by).

    By codebase plus by family minus by both, each with the usual corrections for few clusters and
    for the number of estimated `parameters`. A clustering that has only one cluster says nothing
    and is left out; with none left the cases count as independent. May be negative: see `robust`.
    """
    ways: list[Callable[[Point], Hashable]] = [lambda p: p.codebase, lambda p: p.family]
    ways = [way for way in ways if len({way(p) for p in moves}) > 1]
    if not ways:
        return Variance(_independent(moves, parameters), len(moves))
    if len(ways) == 1:
        return _one_way(moves, ways[0], parameters)
    first, second = (_one_way(moves, way, parameters) for way in ways)
    both = _one_way(moves, lambda p: p[1:], parameters)
    clusters = min(first.clusters, second.clusters)
    return Variance(first.value + second.value - both.value, clusters)


def _one_way(moves: Sequence[Point], way: Callable[[Point], Hashable], parameters: int) -> Variance:
    sums: defaultdict[Hashable, float] = defaultdict(float)
    for point in moves:
        sums[way(point)] += point.value
    n, clusters = len(moves), len(sums)
    correction = clusters / (clusters - 1) * (n - 1) / max(1, n - parameters)
    return Variance(correction * sum(s * s for s in sums.values()), clusters)


def _independent(moves: Sequence[Point], parameters: int = 1) -> float:
    n = len(moves)
    return n / max(1, n - parameters) * sum(p.value**2 for p in moves)


def robust(moves: Sequence[Point], parameters: int = 1) -> Variance:
    """`two_way`, but never less than if the cases were independent."""
    found = two_way(moves, parameters)
    return Variance(max(found.value, _independent(moves, parameters)), found.clusters)


def _effective(points: Sequence[Point], value: float) -> float:
    """As how many independent cases these count: n over the design effect, for few clusters."""
    n = len(points)
    moves = influences(points)
    alone = _independent(moves)
    if n == 1 or alone <= 1e-15:
        return float(n)
    variance, clusters = robust(moves)
    independent = value * (1 - value) / sum(p.value**2 for p in moves)
    few = student(n - 1) / student(clusters - 1)
    return independent * alone / variance * few**2


@dataclass(frozen=True)
class Balanced:
    """The mean of recall and specificity; `together`: how far codebases move both alike (-1..1)."""

    recall: Share
    specificity: Share
    together: float = 0.0

    @classmethod
    def of(cls, tool: Sequence[Point], direct: Sequence[Point]) -> "Balanced":
        """From the cases that need a tool and those that do not."""
        return cls(Share.of(tool), Share.of(direct), _correlation(tool, direct))

    @property
    def value(self) -> float:
        """Between 0 and 1; NaN where one kind is missing."""
        return (self.recall.value + self.specificity.value) / 2

    @property
    def interval(self) -> Interval:
        """Lower and upper bound (MOVER)."""
        if self.value != self.value:
            return _NAN, _NAN
        low, high = zip(self.recall.interval, self.specificity.interval, strict=True)
        values = self.recall.value, self.specificity.value
        down = self._half([v - bound for v, bound in zip(values, low, strict=True)])
        up = self._half([bound - v for v, bound in zip(values, high, strict=True)])
        return max(0.0, self.value - down), min(1.0, self.value + up)

    def _half(self, distances: Sequence[float]) -> float:
        a, b = distances
        return sqrt(max(0.0, a * a + b * b + 2 * self.together * a * b)) / 2


def influences(part: Sequence[Point], weight: float = 1.0) -> list[Point]:
    """What each case moves the mean by, times `weight`."""
    middle = mean(p.value for p in part)
    return [p._replace(value=weight * (p.value - middle) / len(part)) for p in part]


def _correlation(one: Sequence[Point], other: Sequence[Point]) -> float:
    """That of the two means, by the clusters they share."""
    if not one or not other:
        return 0.0
    a, b = influences(one), influences(other)
    alone = robust(a).value, robust(b).value
    if min(alone) <= 1e-15:
        return 0.0
    covariance = (robust([*a, *b], 2).value - sum(alone)) / 2
    return max(-1.0, min(1.0, covariance / sqrt(alone[0] * alone[1])))
