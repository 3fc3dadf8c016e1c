"""Calls that would never end."""

from pathlib import Path

import pytest

from agent.serving import weights
from agent.serving.tokenizer import HERMES_END, HERMES_START, Tokenizer
from agent.serving.transcript import HERMES, RUNAWAY, Transcript, runs_away


@pytest.fixture(scope="module")
def tokenizer(lfm2_folder: Path) -> Tokenizer:
    return weights.load(str(lfm2_folder)).tokenizer


def after(tokenizer: Tokenizer, text: str) -> Transcript:
    """The transcript of an answer that is the call `text`, or the part of it that was followed."""
    transcript = Transcript(tokenizer, calls=HERMES)
    start, end = tokenizer.control[HERMES_START], tokenizer.control[HERMES_END]
    for token in [start, *tokenizer.encode(text), end]:
        list(transcript.feed(token))
        if transcript.finish is not None:
            break
    return transcript


def call(content: str) -> str:
    return f'{{"name": "write_file", "arguments": {{"path": "x", "content": "{content}"}}}}'


def test_a_call_that_repeats_itself_is_cut_and_is_no_call(tokenizer: Tokenizer) -> None:
    transcript = after(tokenizer, call("fix the content: " * 1_000))
    assert transcript.finish == "length"
    assert transcript.calls == []


def test_long_contents_and_short_repetitions_are_left_alone(tokenizer: Tokenizer) -> None:
    for content in ("-" * 2_000, "0, " * 200, " ".join(map(str, range(900)))):
        transcript = after(tokenizer, call(content))
        assert transcript.finish is None
        assert content in transcript.calls[0].arguments


@pytest.mark.parametrize("piece", ["a", "0, ", "all the same and no end ", "^9^ ^ ^9^ ^9^ ^ "])
def test_only_a_long_end_that_says_nothing_new_runs_away(piece: str) -> None:
    text = "Begin " + piece * RUNAWAY
    assert runs_away(text)
    assert not runs_away(text[: RUNAWAY - 1])
    assert not runs_away("Begin " + "".join(f"{piece}{n}" for n in range(RUNAWAY)))
