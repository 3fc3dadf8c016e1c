"""Two runs over the same cases: the difference, its interval, and how likely it is by chance."""

import importlib
from collections.abc import Sequence
from dataclasses import dataclass
from math import sqrt
from typing import Any

from agent.exits import AgentError
from agent.installing import command
from agent_evals.stats import Interval, Point, influences, mean, robust, rule_of_three, student

_NAN = float("nan")
_RESAMPLES = 9_999


@dataclass(frozen=True)
class Difference:
    """Of paired cases: the mean of (second - first), its interval, and how likely by chance.

    `gained` and `lost` count the cases that got better and worse.
    """

    value: float
    interval: Interval
    p: float
    n: int
    gained: int
    lost: int

    @property
    def is_worse(self) -> bool:
        """Beyond chance: the interval lies below zero and the test agrees."""
        return self.interval[1] < 0 and self.p < 0.05

    @property
    def is_better(self) -> bool:
        """Beyond chance, likewise."""
        return self.interval[0] > 0 and self.p < 0.05


def difference(*parts: Sequence[Point]) -> Difference:
    """The mean over the parts of the mean difference in each, `Point.value` being a difference.

    One part is a plain mean; tool and direct cases as two parts give the balanced accuracy's.
    Where no case differs the interval is by the rule of three. The test is `chance`.

    Raises:
        AgentError: scipy is not installed.
    """
    parts = tuple(part for part in parts if part)
    values = [p.value for part in parts for p in part]
    if not values:
        return Difference(_NAN, (_NAN, _NAN), 1.0, 0, 0, 0)
    n = len(values)
    value = mean(mean(p.value for p in part) for part in parts)
    moves = [p for part in parts for p in influences(part, 1 / len(parts))]
    variance, clusters = robust(moves, len(parts))
    half = student(clusters - 1) * sqrt(variance)
    if not any(values):
        half = rule_of_three(n)
    gained, lost = sum(v > 0 for v in values), sum(v < 0 for v in values)
    bounds = max(-1.0, value - half), min(1.0, value + half)
    return Difference(value, bounds, chance(values), n, gained, lost)


def chance(differences: Sequence[float]) -> float:
    """How likely differences at least as large are by chance, two-sided.

    Exact McNemar (Psychometrika 12, 1947) where each is -1, 0 or 1; else a paired permutation test,
    which flips signs, with a fixed seed.

    Raises:
        AgentError: scipy is not installed.
    """
    scipy_stats = needed("scipy.stats")
    moved = [d for d in differences if d]
    if len(moved) < 2:
        return 1.0
    if all(abs(d) == 1 for d in moved):
        return float(scipy_stats.binomtest(sum(d > 0 for d in moved), len(moved)).pvalue)
    test = scipy_stats.permutation_test(
        (moved,),
        lambda flipped, axis: flipped.mean(axis=axis),
        permutation_type="samples",
        vectorized=True,
        n_resamples=_RESAMPLES,
        batch=100,
        rng=0,
    )
    return float(test.pvalue)


def holm(chances: Sequence[float]) -> list[float]:
    """The chances, corrected for looking at so many (Holm, Scandinavian J. of Statistics 1979).

    Raises:
        AgentError: statsmodels is not installed.
    """
    if not chances:
        return []
    multitest = needed("statsmodels.stats.multitest")
    return [float(p) for p in multitest.multipletests(chances, method="holm")[1]]


def needed(module: str, extra: str = "bench") -> Any:
    """The module, one of the extra. Raises AgentError, which says how to install it."""
    try:
        return importlib.import_module(module)
    except ImportError:
        library = module.split(".")[0]
        raise AgentError(f"This needs {library}; to install it: {command(extra)}") from None
