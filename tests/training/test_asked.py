"""Questions written with their first call: the canonical call, and what a row of them is."""

import json
from pathlib import Path
from random import Random
from typing import Any

import pytest

from agent_training import asked, build, checks, imagined, patterns, phrasing
from agent_training.phrasing import Asked

EXAMPLES = Path(phrasing.__file__).parents[1] / "examples"


def line(do: str, **fields: Any) -> Asked:
    return Asked("q", do, fields, "f")


@pytest.mark.parametrize(
    ("written", "call"),
    [
        (line("words", words="idle session"), ("grep", {"pattern": "(?i)idle|session"})),
        (line("define", name="Cart::total"), ("grep", {"pattern": patterns.define("total")})),
        (
            line("usages", name="max_seats", path="config/"),
            ("grep", {"pattern": r"\b(max_seats)\b", "path": "config"}),
        ),
        (
            line("read", path="a.py", start=3, end=9),
            ("read_file", {"path": "a.py", "start": 3, "end": 9}),
        ),
        (line("read", path="a.py", start=1), ("read_file", {"path": "a.py"})),
        (line("find", glob="**/*.sql"), ("find_files", {"glob": "*.sql"})),
        (line("lint"), ("php_lint", {"path": "."})),
        (
            line("edit", path="a", old="x", new=""),
            ("edit_file", {"path": "a", "old": "x", "new": ""}),
        ),
    ],
)  # fmt: skip
def test_what_is_asked_for_becomes_the_canonical_call(
    written: Asked, call: tuple[str, dict[str, Any]]
) -> None:
    assert asked.call_of(written) == call


@pytest.mark.parametrize("bad", [line("dance"), line("define")])
def test_a_line_that_says_too_little_is_an_error(bad: Asked) -> None:
    with pytest.raises(ValueError, match="'q'"):
        asked.call_of(bad)


def test_every_written_line_gives_a_row_that_passes() -> None:
    examples = phrasing.load(EXAMPLES)
    assert len(examples.asked) > 1000
    alone = phrasing.Examples([], [], [], examples.asked)
    rows = build._asked_rows(build.Settings(copies_of_asked=1), alone)
    assert len(rows) == len(examples.asked)
    refused = {(row["messages"][0]["content"], why) for row in rows if (why := checks.problem(row))}
    assert not refused


def test_what_the_call_copies_stands_in_the_question() -> None:
    for written in phrasing.load(EXAMPLES).asked:
        for name in ("name", "text", "path", "old", "new", "content"):
            copied = str(written.fields.get(name, "")).splitlines()
            assert all(text in written.question for text in copied), written
        for word in str(written.fields.get("words", "")).split():
            assert word in written.question, written


def test_typing_keeps_every_word() -> None:
    written = Asked("Where do idle sessions go?", "words", {"words": "idle sessions"}, "f")
    for seed in range(50):
        typed = asked.typed(written, Random(seed))
        assert "idle" in typed and "sessions" in typed


def test_an_edit_is_typed_as_it_stands() -> None:
    written = Asked("swap a. for b.", "edit", {"path": "x", "old": "a.", "new": "b."}, "f")
    assert {asked.typed(written, Random(seed)) for seed in range(30)} == {written.question}
    assert json.dumps(asked.call_of(written))


CHANGE = {"name": "Feed.RETRIES", "path": "src/feed.py", "line": "    RETRIES = 3  # then give up"}


def test_a_change_looks_for_the_line_and_replaces_it() -> None:
    written = Asked("q", "change", {**CHANGE, "becomes": "    RETRIES = 5  # then give up"}, "f")
    others = [Asked("o", "change", {"path": "a.py", "line": f"x{n} = {n}"}, "o") for n in range(9)]
    for seed in range(20):
        look, found, edit, done, answer = imagined.turn(written, others, Random(seed))
        assert arguments_of(look) == {"pattern": r"\b(RETRIES)\b", "path": "src/feed.py"}
        assert "RETRIES = 3  # then give up" in found["content"]
        assert arguments_of(edit) == {
            "path": "src/feed.py",
            "old": "RETRIES = 3  # then give up",
            "new": "RETRIES = 5  # then give up",
        }
        assert done["content"] == answer["content"]
        assert done["content"].startswith("Edited src/feed.py at line ")


@pytest.mark.parametrize("more", [{"becomes": CHANGE["line"]}, {"becomes": "x", "path": ".git/x"}])
def test_a_change_that_cannot_be_made_is_an_error(more: dict[str, str]) -> None:
    with pytest.raises(ValueError, match="'q'"):
        imagined.turn(Asked("q", "change", CHANGE | more, "f"), [], Random(0))


def arguments_of(message: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(message["tool_calls"][0]["function"]["arguments"])
    return found
