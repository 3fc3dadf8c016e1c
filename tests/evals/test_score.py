"""Figures from results known by hand, and the report that shows them."""

import math

import pytest

from agent_evals.report import Header, meaning, report
from agent_evals.score import Balanced, Scores, Share, always_call, never_call, score
from tests.evals.making import scored

HEADER = Header("little", "sha256:0123", "handmade", 12.0, 4)


def mixed() -> Scores:
    return score(
        [
            scored("tool", "called", right_call=True, pair="p1", right_answer=True),
            scored("tool", "called", pair="p2", repeated=2, looped=True),
            scored("tool", "answered", pair="p3", right_answer=False),
            scored("tool", "malformed", malformed=1, ended="unparsed_tool_call"),
            scored("direct", "answered", pair="p1"),
            scored("direct", "called", pair="p2", interventions=("loop_cycle",)),
            scored("direct", "error", ended="empty"),
            scored("direct", "answered", subtype="meta"),
        ]
    )


@pytest.mark.parametrize(
    ("hits", "n", "low", "high"),
    [(5, 5, 0.566, 1.0), (0, 5, 0.0, 0.434), (50, 100, 0.404, 0.596), (88, 100, 0.802, 0.930)],
)
def test_wilson_intervals_are_the_published_ones(
    hits: int, n: int, low: float, high: float
) -> None:
    assert Share(hits, n).interval == pytest.approx((low, high), abs=5e-4)


def test_the_interval_of_the_balanced_accuracy_is_narrower_than_its_parts() -> None:
    balanced = Balanced(Share(80, 100), Share(90, 100))
    low, high = balanced.interval
    assert balanced.value == pytest.approx(0.85)
    assert 0.79 < low < 0.85 < high < 0.90


def test_scores_count_malformed_and_broken_runs_as_failures() -> None:
    scores = mixed()
    assert (scores.balanced.recall, scores.balanced.specificity) == (Share(2, 4), Share(2, 4))
    assert scores.right_call == Share(1, 4)
    assert scores.tool_answers == Share(1, 2)
    assert scores.pairs == Share(1, 2)  # p3 was not run whole
    assert scores.matrix["tool", "malformed"] == scores.matrix["direct", "error"] == 1
    assert (scores.repeating_runs, scores.repeated_calls, scores.looped_runs) == (1, 2, 1)
    assert scores.malformed_calls == 1
    assert scores.interventions == {"loop_cycle": 1}
    assert scores.n == 8


def test_the_controls_score_a_half() -> None:
    for control in (always_call(mixed()), never_call(mixed())):
        assert control.value == 0.5
    assert always_call(mixed()).recall.value == never_call(mixed()).specificity.value == 1


def test_the_report_shows_controls_outcomes_and_subtypes() -> None:
    lines = report(HEADER, mixed()).splitlines()
    cells = {line.split()[0]: line.split() for line in lines if line}
    assert "sha256:0123" in lines[0]
    assert cells["always-call"][1] == cells["never-call"][1] == "50.0"
    assert cells["decision"] == ["decision", "called", "answered", "malformed", "error"]
    assert ["tool", "2", "1", "1", "0"] in [line.split() for line in lines]
    assert ["direct", "1", "2", "0", "1"] in [line.split() for line in lines]
    assert cells["define"] == ["define", "tool", "4", "2/4", "1/4", "1/2"]
    assert cells["meta"] == ["meta", "direct", "1", "1/1", "-", "-"]
    assert cells["repeated"] == ["repeated", "calls", "2"]
    assert not any(line != line.rstrip() for line in lines)


def test_the_last_sentence_says_whether_it_beats_chance() -> None:
    assert "no better than chance" in meaning("little", mixed())
    good = score([scored("tool", "called", right_call=True), scored("direct", "answered")] * 40)
    assert "100% right" in meaning("little", good)
    assert "right call for 40/40" in meaning("little", good)


def test_one_kind_of_case_alone_is_no_discrimination() -> None:
    alone = score([scored("tool", "called")])
    assert math.isnan(alone.balanced.value)
    assert "nothing can be said" in meaning("little", alone)
    assert "always-call" in report(HEADER, alone)
