"""The report that people read, and its last sentence."""

from collections.abc import Sequence

import pytest

from agent_evals import controls
from agent_evals.controls import ALWAYS, NEVER, WORDS
from agent_evals.report import meaning, report, short, table
from agent_evals.score import by_configuration
from agent_evals.store import Row
from tests.evals.making import scored
from tests.evals.test_score import mixed

MANIFEST = {
    "suite": "handmade",
    "split": "test",
    "configurations": [
        {"name": "little", "disk_bytes": 142_000_000, "peak_memory_bytes": 1.2e9},
        {"name": "big"},
    ],
}


def made(rows: Sequence[Row]) -> str:
    found = controls.controls(rows)
    return report(MANIFEST, by_configuration(rows), found, controls.missing())


def said(rows: Sequence[Row]) -> str:
    return meaning(by_configuration(rows), controls.controls(rows))


def good(**more: str) -> list[Row]:
    tool = [
        scored("tool", "called", right_call=True, id=f"t{i}", question="Why?", **more)
        for i in range(40)
    ]
    direct = [scored("direct", "answered", id=f"d{i}", question="Why?", **more) for i in range(40)]
    return [*tool, *direct]


def test_it_shows_controls_outcomes_and_subtypes() -> None:
    shown = made([*mixed(), scored("abstain", "answered", decided=True, subtype="lacks")])
    cells = {line.split()[0]: line.split() for line in shown.splitlines() if line}
    assert cells["suite"] == ["suite", "handmade", "(test", "split)"]
    assert cells["always-call"][1] == cells["never-call"][1] == "50.0"
    assert cells["bag"][:2] == ["bag", "of"]
    rows = [line.split() for line in shown.splitlines()]
    assert ["little", "called", "answered", "malformed", "error"] in rows
    assert ["tool", "2", "1", "1", "0"] in rows
    assert ["direct", "1", "2", "0", "1"] in rows
    assert ["abstain", "0", "1", "0", "0"] in rows
    assert cells["define"][:4] == ["define", "tool", "4", "50"]
    assert cells["meta"][:4] == ["meta", "direct", "1", "100"]
    assert "little: the guard stepped in: loop_cycle 1" in shown
    assert "little: no whole answer: empty 1, unparsed_tool_call 1" in shown
    assert "142 MB" in shown and "1.2 GB" in shown


def test_it_fits_a_terminal() -> None:
    name = "an-adapter-with-a-long-name-4bit"
    rows = [*mixed(), *good(configuration=name), *good(configuration="big")]
    lines = made(rows).splitlines()
    assert max(map(len, lines)) <= 80
    assert not any(line != line.rstrip() for line in lines)
    assert short(name) == "an-adapt…me-4bit"


def test_no_event_is_shown_with_what_it_is_at_most() -> None:
    assert "0 (<3.8%)" in made(good())


def test_the_controls_score_a_half() -> None:
    found = controls.controls(mixed())
    assert found[ALWAYS].balanced.value == found[NEVER].balanced.value == 0.5
    assert found[ALWAYS].balanced.recall.value == found[NEVER].balanced.specificity.value == 1


def test_the_last_sentence_says_whether_it_beats_chance() -> None:
    assert "no better than chance" in said(mixed())
    few = [scored("tool", "called"), scored("direct", "answered"), scored("direct", "called")]
    assert "75% right, but these cases are too few" in said(few)
    assert "100% right" in said(good())
    assert "never calling gets 50% and a bag of words 50%" in said(good())
    assert "right call for 40/40" in said(good())
    assert said([*good(), *good(configuration="big")]).startswith("Best of 2, little")


def test_one_kind_of_case_alone_is_no_discrimination() -> None:
    assert "nothing can be said" in said([scored("tool", "called")])
    assert "always-call" in made([scored("tool", "called")])
    assert said([]) == "There are no results."


def worded(tool: str, direct: str) -> list[Row]:
    return [
        scored(label, decision, family=f"f{i}", question=f"{words} number{i}")
        for i in range(30)
        for label, decision, words in (("tool", "called", tool), ("direct", "answered", direct))
    ]


def test_a_bag_of_words_learns_what_the_wording_gives_away() -> None:
    rows = worded("where is our class defined", "what is a class in general")
    assert controls.controls(rows)[WORDS].balanced.value == 1
    assert "no better than a bag of words" in said(rows)


def test_a_bag_of_words_never_saw_the_family_it_decides() -> None:
    """The only word that tells the label belongs to one family, so that it cannot help."""
    rows = [
        scored(label, decision, family=f"f{i}", question=f"{label}{i} same words")
        for i in range(30)
        for label, decision in (("tool", "called"), ("direct", "answered"))
    ]
    assert controls.controls(rows)[WORDS].balanced.value == 0.5


@pytest.mark.parametrize("n", [1, 2])
def test_a_bag_of_words_needs_no_examples(n: int) -> None:
    assert WORDS in controls.controls([scored("tool", "called") for _ in range(n)])


def test_without_scipy_the_table_says_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(controls, "find_spec", lambda name: None)
    shown = made(mixed())
    assert "never-call" in shown and "bag of words  " not in shown
    assert "needs scipy; to install it: " in shown and "--extra bench" in shown


def test_a_table_is_aligned() -> None:
    assert table([["a", "bb"], ["ccc", "d"]]) == "a    bb\nccc   d"
