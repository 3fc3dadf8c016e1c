"""The loop survival curve against published figures."""

from collections import Counter

import pytest

from agent_evals.survival import survival


def test_the_curve_is_the_published_one() -> None:
    """Freireich and others (Blood 21, 1963): weeks in remission under 6-MP, as textbooks show."""
    relapsed = Counter((week, True) for week in (6, 6, 6, 7, 10, 13, 16, 22, 23))
    left = Counter((week, False) for week in (6, 9, 10, 11, 17, 19, 20, 25, 32, 32, 34, 35))
    steps = {step.calls: step for step in survival(relapsed + left)}
    expected = {6: 0.857, 7: 0.807, 10: 0.753, 13: 0.690, 16: 0.627, 22: 0.538, 23: 0.448}
    assert {week: round(steps[week].share, 3) for week in expected} == expected
    assert steps[6].interval == pytest.approx((0.620, 0.952), abs=1e-3)
    assert steps[35].share == steps[23].share


def test_without_a_loop_the_curve_is_flat() -> None:
    assert [(s.calls, s.share) for s in survival(Counter({(2, False): 5}))] == [(0, 1), (2, 1)]
    assert [(s.calls, s.share) for s in survival(Counter({(0, False): 5}))] == [(0, 1)]
    assert survival(Counter()) == [(0, 1, (1, 1))]


def test_where_all_loop_nothing_is_left() -> None:
    assert survival(Counter({(3, True): 4}))[-1].share == 0
