"""Figures from results known by hand."""

import math
import random
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import pearsonr

from agent_evals.judge import judge
from agent_evals.score import Tally, by_configuration, score, until_loop
from agent_evals.scores import Scores
from agent_evals.store import Row
from agent_evals.transcript import Call
from tests.evals.making import DIRECT_ROW, TOOL_ROW, case, grep, run, scored


def mixed() -> list[Row]:
    return [
        scored("tool", "called", right_call=True, pair="p1", right_answer=True),
        scored("tool", "called", pair="p2", repeated=2, looped=True, excess=3),
        scored("tool", "answered", pair="p3", right_answer=False),
        scored("tool", "malformed", malformed=1, ended="unparsed_tool_call"),
        scored("direct", "answered", pair="p1"),
        scored("direct", "called", pair="p2", interventions=("loop_cycle",)),
        scored("direct", "error", ended="empty"),
        scored("direct", "answered", subtype="meta"),
    ]


def test_malformed_and_broken_runs_are_failures() -> None:
    scores = score(mixed())
    assert (scores.balanced.recall.hits, scores.balanced.recall.n) == (2, 4)
    assert (scores.balanced.specificity.hits, scores.balanced.specificity.n) == (2, 4)
    assert scores.balanced.value == 0.5
    assert scores.mcc == 0
    assert (scores.right_call.hits, scores.right_call.n) == (1, 4)
    assert (scores.answers["tool"].hits, scores.answers["tool"].n) == (1, 2)
    assert scores.answers["direct"].n == 0
    assert (scores.pairs.hits, scores.pairs.n) == (1, 2)  # p3 was not run whole
    assert scores.matrix["tool", "malformed"] == scores.matrix["direct", "error"] == 1
    assert scores.endings == {"success": 6, "unparsed_tool_call": 1, "empty": 1}
    assert (scores.cases, scores.runs) == (8, 8)


def test_loops_are_counted_though_a_guard_hid_them() -> None:
    loops = score(mixed()).loops
    assert (loops.repeating.hits, loops.repeated_calls, loops.looped.hits) == (1, 2, 1)
    assert loops.excess_per_run == 3 / 8
    assert loops.interventions == {"loop_cycle": 1}


def test_to_say_what_is_missing_is_a_class_of_its_own() -> None:
    rows = [
        scored("abstain", "answered", decided=True),
        scored("abstain", "answered", decided=False),
        scored("abstain", "called", decided=False),
    ]
    scores = score([*mixed(), *rows])
    assert (scores.abstain.hits, scores.abstain.n) == (1, 3)
    assert scores.balanced == score(mixed()).balanced
    assert scores.mcc == score(mixed()).mcc
    assert scores.matrix["abstain", "answered"] == 2


def test_matthews_is_the_correlation_of_needed_and_made_calls() -> None:
    decided = [("tool", "called")] * 7 + [("tool", "answered")] * 3
    decided += [("direct", "answered")] * 18 + [("direct", "called")] * 2
    expected = pearsonr([k == "tool" for k, _ in decided], [d == "called" for _, d in decided])
    scores = score(scored(label, decision) for label, decision in decided)
    assert scores.mcc == pytest.approx(expected.statistic)
    assert score([scored("tool", "called"), scored("direct", "answered")]).mcc == 1


def test_a_case_is_worth_the_mean_of_its_epochs() -> None:
    often = [
        scored("tool", "called" if epoch < 3 else "answered", id="often", epoch=epoch, pair="p")
        for epoch in range(4)
    ]
    other = [scored("direct", "answered", id="other", epoch=epoch, pair="p") for epoch in range(4)]
    scores = score([*often, *other, scored("tool", "answered", id="once")])
    assert scores.balanced.recall.value == pytest.approx((3 / 4 + 0) / 2)
    assert scores.pairs.value == 0.75
    assert (scores.cases, scores.runs) == (3, 9)


def test_the_same_result_twice_counts_once() -> None:
    row = scored("tool", "called", first_token_seconds=0.1)
    assert score([row, row]).runs == score([row]).runs == 1
    assert score([row, row]).cost == score([row]).cost


def test_calls_that_nobody_could_execute_are_told_apart() -> None:
    unknown = Call("search", {}, "failed", "", valid=False)
    wrong = Call("grep", {"q": 1}, "failed", "", valid=False)
    scores = score([scored("tool", "called", calls=(unknown, wrong, grep("x")))])
    found = scores.arguments
    assert (found.calls, found.known, found.valid) == (3, 2, 1)


@pytest.mark.parametrize(
    ("call", "same"),
    [
        (grep("class Gauge"), True),
        (grep("class Gauge", path="/tmp/meter/src/.."), True),
        (grep("Gauge"), False),
        (grep("class Gauge", outcome="denied"), False),
    ],
)
def test_arguments_are_compared_with_the_suites_up_to_the_spelling_of_paths(
    call: Call, same: bool, tmp_path: Path
) -> None:
    transcript = run(call, root="/tmp/meter")
    assert judge(case(TOOL_ROW), transcript, tmp_path, tmp_path).gold_call is same
    assert judge(case(DIRECT_ROW), transcript, tmp_path, tmp_path).gold_call is None
    rows = [scored("tool", "called", gold_call=same), scored("tool", "called", gold_call=True)]
    assert score(rows).gold_calls.hits == 1 + same


@pytest.mark.parametrize(
    ("calls", "expected"),
    [
        ([], (0, False)),
        ([grep("a"), grep("b")], (2, False)),
        ([grep("a")] * 5, (3, True)),
        ([grep("a"), grep("b")] * 3, (4, True)),
        ([grep("a"), grep("a"), grep("a", outcome="skipped", result="stop")], (3, True)),
        ([grep("a", path="."), grep("a"), grep("a", path="./x/..")], (3, True)),
    ],
)
def test_the_first_loop_is_the_guards(calls: list[Call], expected: tuple[int, bool]) -> None:
    assert until_loop(scored("tool", "called", calls=tuple(calls))) == expected


def test_costs_are_medians_of_time_and_means_of_tokens() -> None:
    rows = [scored("tool", "called", seconds=s, overhead_seconds=0.1) for s in (1.0, 2.0, 9.0)]
    rows.append(scored("direct", "answered", seconds=4.0, first_token_seconds=0.2))
    cost = score(rows).cost
    assert (cost.seconds, cost.first_token_seconds) == (3.0, 0.2)
    assert (cost.input_tokens, cost.output_tokens) == (100, 10)
    assert cost.overhead == pytest.approx(0.3 / 16)
    assert math.isnan(score([scored("tool", "called")]).cost.first_token_seconds)


def test_configurations_are_scored_apart() -> None:
    rows = [scored("tool", "called", id="t", configuration=name) for name in ("b", "a")]
    found = by_configuration(rows)
    assert list(found) == ["b", "a"]
    assert all(one.cases == 1 for one in found.values())


def test_the_running_score_is_the_final_one() -> None:
    tally = Tally()
    for row in mixed():
        tally.add(row)
    assert tally.balanced == tally.scores().balanced.value
    assert math.isnan(Tally().balanced)


outcome = st.tuples(
    st.sampled_from(["tool", "direct", "abstain"]),
    st.sampled_from(["called", "answered", "malformed", "error"]),
    st.sampled_from(["depot", "tramline", "beacon"]),
    st.integers(0, 9),
)


@given(st.lists(outcome, min_size=1, max_size=40), st.randoms(use_true_random=False))
def test_shares_are_within_bounds_and_no_order_matters(
    outcomes: list[tuple[str, str, str, int]], chance: random.Random
) -> None:
    rows = [
        scored(label, decision, id=f"c{i}", fixture=fixture, family=f"f{family}", pair=f"p{i // 2}")
        for i, (label, decision, fixture, family) in enumerate(outcomes)
    ]
    scores = score(rows)
    for share in (scores.balanced, scores.abstain, scores.pairs, scores.right_call):
        low, high = share.interval
        assert math.isnan(share.value) or 0 <= low <= share.value <= high <= 1
    assert -1 <= scores.mcc <= 1
    assert scores.matrix.total() == len(rows)
    assert sum(subtype.decided.n for subtype in scores.subtypes) == len(rows)
    chance.shuffle(rows)
    assert flat(score(rows)) == pytest.approx(flat(scores), nan_ok=True)


def flat(scores: Scores) -> list[float]:
    return [
        scores.balanced.value,
        *scores.balanced.interval,
        scores.mcc,
        scores.abstain.value,
        scores.right_call.value,
        *(subtype.decided.value for subtype in scores.subtypes),
    ]
