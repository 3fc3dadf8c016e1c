"""The loop survival curve: the share of runs that have not looped after so many calls."""

import warnings
from collections import Counter
from typing import NamedTuple

from agent_evals.paired import needed
from agent_evals.stats import Interval


class Step(NamedTuple):
    """From the `calls`-th call on this share of runs has not looped; with its 95 % interval."""

    calls: int
    share: float
    interval: Interval


def survival(lengths: Counter[tuple[int, bool]]) -> list[Step]:
    """The curve for `Loops.lengths`, from (0, 1) to the longest run.

    Kaplan and Meier (J. American Statistical Association 53, 1958): a run that ends without a loop
    counts until its end. The interval is that of the log-log transform.

    Raises:
        AgentError: scipy is not installed.
    """
    scipy_stats = needed("scipy.stats")
    looped = [calls for (calls, loop), n in lengths.items() if loop for _ in range(n)]
    ended = [calls for (calls, loop), n in lengths.items() if not loop for _ in range(n)]
    start = Step(0, 1.0, (1.0, 1.0))
    longest = max([0, *looped, *ended])
    if not looped:
        return [start, Step(longest, 1.0, (1.0, 1.0))] if longest else [start]
    curve = scipy_stats.ecdf(scipy_stats.CensoredData(uncensored=looped, right=ended)).sf
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # undefined at 0 and 1: see _or
        bounds = curve.confidence_interval(method="log-log")
    low, high = bounds.low.probabilities, bounds.high.probabilities
    steps = [
        Step(int(calls), float(share), (_or(down, share), _or(up, share)))
        for calls, share, down, up in zip(
            curve.quantiles, curve.probabilities, low, high, strict=True
        )
        if calls
    ]
    return [start, *steps]


def _or(bound: float, share: float) -> float:
    """The bound, or the share itself where the transform gives none: at 0 and 1."""
    return float(bound if bound == bound else share)
