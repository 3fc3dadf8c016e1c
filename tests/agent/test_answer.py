"""What reaches the user of what a model writes."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent import answer

_HOSTILE = st.text(
    alphabet=st.sampled_from(list("ab `\n<|>im_end/s[]?0;38m\x1b\x07\x9b\x9d\x90\\\u202e\u2066\r"))
)


@given(_HOSTILE, st.lists(st.integers(1, 5)))
def test_chunks_do_not_matter(text: str, sizes: list[int]) -> None:
    cleaner, out, rest = answer.Cleaner(), "", text
    for size in sizes:
        out, rest = out + cleaner.feed(rest[:size]), rest[size:]
    out += cleaner.feed(rest) + cleaner.finish()
    assert out.rstrip() == answer.clean(text).rstrip()


@given(st.text())
def test_no_control_character_survives(text: str) -> None:
    assert not any(
        (ord(c) < 32 and c not in "\t\n") or 127 <= ord(c) < 160 or c in "\u202e\u2066"
        for c in answer.clean(text)
    )


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("yes<|im_end|>no", "yes"),
        ("yes<|endoftext|>", "yes"),
        ("yes<end_of_turn>\nno", "yes"),
        ("yes</s>", "yes"),
        ("<s>old</s> new", "<s>old</s> new"),
        ("<|im_start|>assistant\nyes", "yes"),
        ("The marker `<|im_end|>` ends a turn.", "The marker `<|im_end|>` ends a turn."),
        ("if a <b and c|> d: x", "if a <b and c|> d: x"),
        ("a[0] = b[1]", "a[0] = b[1]"),
        ("one\r\ntwo", "one\ntwo"),
        ("\x1b]0;title\x07ok", "ok"),
        ("\x1bP1$r\x1b\\ok", "ok"),
        ("caf\u00e9 \u0645\u0631\u062d\u0628\u0627", "caf\u00e9 \u0645\u0631\u062d\u0628\u0627"),
    ],
)
def test_clean(text: str, shown: str) -> None:
    assert answer.clean(text) == shown


SENTENCE = "This sentence comes again and again. "


def test_repetition_keeps_the_first_block() -> None:
    text = "Start. " + SENTENCE * 3
    end = answer.repetition(text)
    assert end is not None
    assert text[:end].strip() == ("Start. " + SENTENCE).strip()


@pytest.mark.parametrize("piece", ["*", "<", "- ", "-=-"])
def test_a_ruler_without_an_end_is_repetition(piece: str) -> None:
    text = "Start. " + piece * 400
    end = answer.repetition(text)
    assert end is not None and end < 40


@pytest.mark.parametrize(
    "text",
    [
        SENTENCE * 2,
        "```\n" + SENTENCE * 5,
        "```\n" + "a row of code that repeats\n" * 5 + "```\n",
        "| a long table cell | another |\n" * 6,
        "-" * 200,
    ],
)
def test_no_repetition(text: str) -> None:
    assert answer.repetition(text) is None


@pytest.mark.parametrize(
    ("text", "markup"),
    [
        ("<tool_call>{}</tool_call>", True),
        ("Look: [TOOL_CALLS] x", True),
        ("`<tool_call>` opens a call", False),
        ("```\n<tool_call>\n```", False),
        ("plain", False),
    ],
)
def test_call_markup(text: str, markup: bool) -> None:
    assert answer.has_call_markup(text) is markup
