"""Intervals and tests against published figures and against statsmodels on the same data."""

import importlib
import random
from collections.abc import Sequence
from math import isnan, sqrt

import numpy as np
import pytest
import statsmodels.api as sm
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats as reference
from statsmodels.stats.contingency_tables import mcnemar

from agent.exits import AgentError
from agent_evals import paired
from agent_evals.paired import chance, difference, holm
from agent_evals.stats import (
    Balanced,
    Point,
    Share,
    influences,
    mean,
    rule_of_three,
    student,
    two_way,
    wilson,
)


def clustered(
    n: int, seed: int, level: float = 0.8, values: str = "binary", effect: float = 0.2
) -> list[Point]:
    """Cases whose codebases and families differ in how hard they are."""
    chance = random.Random(seed)
    codebases = [chance.gauss(0, effect) for _ in range(12)]
    families = [chance.gauss(0, effect) for _ in range(40)]
    points = []
    for _ in range(n):
        c, f = chance.randrange(12), chance.randrange(40)
        p = min(1.0, max(0.0, level + codebases[c] + families[f]))
        value = float(chance.random() < p)
        if values == "difference":
            value -= chance.random() < level
        points.append(Point(value, f"codebase {c}", f"family {f}"))
    return points


def ols(*parts: Sequence[Point]):  # type: ignore[no-untyped-def]
    """The means of the parts as a regression, with standard errors clustered both ways."""
    points = [p for part in parts for p in part]
    design = np.zeros((len(points), len(parts)))
    design[range(len(points)), [i for i, part in enumerate(parts) for _ in part]] = 1
    groups = [sorted({p[way] for p in points}) for way in (1, 2)]
    codes = [[groups[way - 1].index(p[way]) for p in points] for way in (1, 2)]
    model = sm.OLS(np.array([p.value for p in points]), design)
    return model.fit(cov_type="cluster", cov_kwds={"groups": np.array(codes).T}, use_t=True)


@pytest.mark.parametrize("seed", range(3))
def test_the_variance_of_a_mean_is_that_of_statsmodels(seed: int) -> None:
    points = clustered(500, seed)
    fitted = ols(points)
    found = two_way(influences(points))
    assert mean(p.value for p in points) == pytest.approx(fitted.params[0])
    assert sqrt(found.value) == pytest.approx(fitted.bse[0], rel=1e-9)


@pytest.mark.parametrize("seed", range(3))
def test_the_interval_of_a_difference_is_that_of_statsmodels(seed: int) -> None:
    points = clustered(500, seed, 0.6, "difference")
    fitted = ols(points)
    found = difference(points)
    assert found.value == pytest.approx(fitted.params[0])
    assert found.interval == pytest.approx(tuple(fitted.conf_int()[0]), rel=1e-3)


@pytest.mark.parametrize("seed", range(3))
def test_a_balanced_difference_is_a_contrast_in_statsmodels(seed: int) -> None:
    tool = clustered(300, seed, 0.6, "difference")
    direct = clustered(200, seed + 10, 0.5, "difference")
    contrast = ols(tool, direct).t_test([0.5, 0.5])
    found = difference(tool, direct)
    assert found.value == pytest.approx(float(contrast.effect[0]))
    assert found.interval == pytest.approx(tuple(contrast.conf_int()[0]), rel=1e-3)


@pytest.mark.parametrize("seed", range(3))
def test_the_balanced_interval_is_close_to_statsmodels_where_there_are_many_cases(
    seed: int,
) -> None:
    """Ours bends at the bounds, theirs does not; in the middle of the range they agree."""
    tool, direct = (clustered(2000, n, 0.6, effect=0.1) for n in (seed, seed + 10))
    low, high = ols(tool, direct).t_test([0.5, 0.5]).conf_int()[0]
    assert Balanced.of(tool, direct).interval == pytest.approx((low, high), abs=0.01)
    (low, high) = ols(tool).conf_int()[0]
    assert Share.of(tool).interval == pytest.approx((low, high), abs=0.01)


@pytest.mark.parametrize(
    ("hits", "n", "low", "high"),
    [(5, 5, 0.566, 1.0), (0, 5, 0.0, 0.434), (50, 100, 0.404, 0.596), (88, 100, 0.802, 0.930)],
)
def test_without_clusters_the_interval_is_wilsons_as_published(
    hits: int, n: int, low: float, high: float
) -> None:
    points = [Point(float(i < hits), "", f"case {i}") for i in range(n)]
    for share in (Share.of(points), Share.counted(hits, n)):
        assert (share.hits, share.n) == (hits, n)
        assert share.interval == pytest.approx((low, high), abs=5e-4)
    exact = reference.binomtest(hits, n).proportion_ci(method="wilson")
    assert wilson(hits / n, n) == pytest.approx((exact.low, exact.high), abs=1e-6)


def test_clusters_widen_the_interval_and_epochs_narrow_it() -> None:
    """Ten codebases, each all right or all wrong, say no more than ten cases do."""
    points = [
        Point(float(c % 2), f"codebase {c}", f"case {c}-{i}") for c in range(10) for i in range(50)
    ]
    share = Share.of(points)
    assert share.effective < 10
    sure = Share.of([p._replace(value=0.5 + (p.value - 0.5) / 5, codebase="") for p in points])
    assert sure.effective > share.n


def test_the_interval_of_the_balanced_accuracy_is_narrower_than_its_parts() -> None:
    balanced = Balanced(Share.counted(80, 100), Share.counted(90, 100))
    low, high = balanced.interval
    assert balanced.value == pytest.approx(0.85)
    assert 0.79 < low < 0.85 < high < 0.90


def test_what_moves_both_alike_widens_the_balanced_interval() -> None:
    apart = Balanced(Share.counted(80, 100), Share.counted(80, 100))
    together = Balanced(apart.recall, apart.specificity, 1.0)
    against = Balanced(apart.recall, apart.specificity, -1.0)
    assert together.interval == pytest.approx(apart.recall.interval)
    assert against.interval[0] > apart.interval[0] > together.interval[0]


def test_there_is_a_bound_where_nothing_happened() -> None:
    assert rule_of_three(300) == 0.01
    assert rule_of_three(0) == rule_of_three(2) == 1
    same = [Point(0.0, "a", f"{i}") for i in range(300)]
    assert difference(same).interval == (-0.01, 0.01)
    assert difference(same).p == 1
    assert isnan(difference([]).value)
    assert Share.of([]).n == 0 and isnan(Share.of([]).interval[0])


@pytest.mark.parametrize("df", [1, 2, 3, 4, 5, 9, 11, 30, 1000])
def test_students_quantile(df: int) -> None:
    assert student(df) == pytest.approx(reference.t.ppf(0.975, df), abs=0.004)


@pytest.mark.parametrize(("gained", "lost"), [(1, 9), (0, 5), (12, 12), (30, 11)])
def test_the_test_of_flips_is_the_exact_mcnemar(gained: int, lost: int) -> None:
    flips = [1.0] * gained + [-1.0] * lost + [0.0] * 50
    exact = mcnemar([[25, gained], [lost, 25]], exact=True)
    assert chance(flips) == pytest.approx(exact.pvalue)


def test_with_epochs_the_test_is_a_permutation_of_signs() -> None:
    assert chance([0.5, 0.25, 0.25, 0.0]) == 2 / 8  # exact: all signs, both sides
    assert chance([0.5] * 30) < 0.001
    assert chance([0.5, -0.5] * 20) == 1
    many = [0.25] * 60 + [-0.5] * 20
    assert chance(many) == chance(many)


def test_holm_is_the_published_procedure() -> None:
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([]) == []


def test_worse_is_what_both_interval_and_test_call_so() -> None:
    worse = [Point(-float(i % 2), "", f"{i}") for i in range(60)]
    assert difference(worse).is_worse and not difference(worse).is_better
    assert difference([p._replace(value=-p.value) for p in worse]).is_better
    two = difference([Point(-1.0, "", "a"), Point(-1.0, "", "b")])
    assert two.interval[1] < 0 and not two.is_worse


def test_a_missing_library_is_a_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    def gone(name: str) -> None:
        raise ImportError(name)

    monkeypatch.setattr(importlib, "import_module", gone)
    with pytest.raises(AgentError, match=r"needs scipy; to install it: .*bench"):
        paired.chance([1.0])


point = st.builds(
    Point,
    st.floats(0, 1),
    st.sampled_from(["a", "b", "c"]),
    st.sampled_from(["f", "g", "h", "i"]),
)


@given(st.lists(point, min_size=1, max_size=30))
def test_an_interval_holds_its_value(points: list[Point]) -> None:
    share = Share.of(points)
    low, high = share.interval
    assert 0 <= low <= share.value <= high <= 1


@given(st.lists(point, min_size=1, max_size=30), st.lists(point, min_size=1, max_size=30))
def test_the_balanced_interval_holds_its_value(one: list[Point], other: list[Point]) -> None:
    balanced = Balanced.of(one, other)
    low, high = balanced.interval
    assert 0 <= low <= balanced.value <= high <= 1
    assert Balanced.of(other, one).interval == pytest.approx((low, high), abs=1e-6)


@settings(deadline=None)
@given(st.lists(point, min_size=1, max_size=20))
def test_a_difference_the_other_way_is_its_mirror(points: list[Point]) -> None:
    there = difference(points)
    back = difference([p._replace(value=-p.value) for p in points])
    assert back.value == pytest.approx(-there.value)
    assert back.interval == pytest.approx((-there.interval[1], -there.interval[0]))
    assert (back.gained, back.lost) == (there.lost, there.gained)
    assert 0 <= there.p <= 1


@given(st.lists(st.floats(0, 1), max_size=10))
def test_a_correction_never_makes_a_chance_smaller(chances: list[float]) -> None:
    corrected = holm(chances)
    assert all(
        a <= b <= 1 or b == pytest.approx(a) for a, b in zip(chances, corrected, strict=True)
    )
