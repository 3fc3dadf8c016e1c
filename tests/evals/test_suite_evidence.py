"""Every question of our suites can be answered the way it is judged."""

from collections import Counter
from functools import cache
from pathlib import Path

import pytest

from agent_evals import proofs, suite, validate
from agent_evals.suite import HOME, Suite

FIXTURES = sorted(path.name for path in (HOME / "fixtures").iterdir() if path.is_dir())


@cache
def ours(name: str) -> Suite:
    return suite.load(name)


@pytest.mark.parametrize("fixture", FIXTURES)
def test_every_case_is_proven(fixture: str) -> None:
    for name in ("discrimination", "smoke", "seed"):
        chosen = ours(name)
        for case in chosen.cases:
            if case.fixture == fixture:
                assert list(proofs.prove(case, chosen.fixtures / fixture)) == []


def test_the_cases_go_together() -> None:
    assert list(validate.together(ours("discrimination").cases)) == []


def test_the_default_suite_is_as_large_as_it_claims() -> None:
    cases = ours(suite.DEFAULT).cases
    pairs = Counter(case.pair for case in cases if case.pair)
    foreign = sum(case.lang != "en" for case in cases)
    assert pairs.total() >= 200
    assert foreign >= 0.07 * len(cases)
    assert {case.subtype for case in cases if case.label == "abstain"} == {
        "no_tool", "missing_argument", "missing_file", "ambiguous",
    }  # fmt: skip


def test_the_test_split_has_a_canary_and_no_place_in_our_examples() -> None:
    chosen = ours("discrimination")
    assert chosen.canary is not None
    root = Path(__file__).parents[2]
    swallowed = [
        path.name
        for path in (root / "training").rglob("*.jsonl")
        if chosen.canary in path.read_text(encoding="utf-8")
    ]
    assert swallowed == []


def test_the_smoke_suite_is_small_and_has_every_label() -> None:
    labels = Counter(case.label for case in ours("smoke").cases)
    assert (labels.total(), set(labels)) == (24, set(suite.LABELS))


def test_the_seed_suite_is_the_five_queries_as_they_were() -> None:
    assert [(case.question, case.label) for case in ours("seed").cases] == [
        ("What is dependency injection?", "direct"),
        ("What is the difference between a Registry and a Container?", "direct"),
        ("Find all classes that inherit from Protocol", "tool"),
        ("Show me the basic injection example", "tool"),
        ("When should I use svcs vs a DI framework?", "direct"),
    ]
