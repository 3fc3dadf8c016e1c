"""Random models under a grammar: whatever the weights, the calls are valid."""

import json
import random
from pathlib import Path
from typing import Any

import pytest

from agent.serving import weights
from agent.serving.grammar import MAX_BLANKS, Constraint, GrammarError, Grammars
from agent.serving.transcript import HERMES, Transcript
from tests.serving.driving import GREP, READ

TOOLS = [tool["function"] for tool in (GREP, READ)]


@pytest.fixture(scope="module")
def grammars(lfm2_folder: Path) -> Grammars:
    served = weights.load(str(lfm2_folder))
    return Grammars(served.tokenizer, served.width)


class RandomModel:
    """Draws any token that the constraint allows, now and then eager to call a tool."""

    def __init__(self, grammars: Grammars, seed: int) -> None:
        self._random = random.Random(seed)
        self._width = grammars.width
        self._start = grammars.start

    def answer(self, constraint: Constraint, transcript: Transcript, limit: int) -> str:
        import mlx.core as mx
        import numpy as np

        context, shown = [0], ""
        for _ in range(limit):
            logits = constraint(mx.array(context), mx.zeros((1, self._width)))
            allowed = np.flatnonzero(np.isfinite(np.array(logits[0])))
            eager = self._start in allowed and self._random.random() < 0.2
            token = self._start if eager else int(self._random.choice(list(allowed)))
            if len(context) > 1:
                constraint.observe(context[-1], bool(shown.strip()))
            context.append(token)
            shown += "".join(text.text for text in transcript.feed(token))
            if transcript.finish is not None:
                return shown
        return shown + "".join(text.text for text in transcript.cut())


def valid(call: Any) -> bool:
    arguments = json.loads(call.arguments)
    if call.name == "grep":
        return list(arguments) == ["pattern"] and len(arguments["pattern"]) <= 12
    assert call.name == "read_file"
    return (
        list(arguments) == ["path", "start", "whole"]
        and arguments["path"] in ("a.py", "b.py")
        and 1 <= arguments["start"] <= 99
        and isinstance(arguments["whole"], bool)
    )


@pytest.mark.parametrize("forced", [True, False])
def test_every_call_of_a_random_model_is_valid(grammars: Grammars, forced: bool) -> None:
    matcher = grammars.calls(TOOLS, many=True)
    tokenizer = grammars._tokenizer
    seen = 0
    for seed in range(100):
        transcript = Transcript(tokenizer, calls=HERMES)
        constraint = Constraint(grammars, matcher, forced)
        shown = RandomModel(grammars, seed).answer(constraint, transcript, limit=150)
        assert all(valid(call) for call in transcript.calls)
        assert not any(marker in shown for marker in tokenizer.control)
        if transcript.finish == "stop":
            assert not forced and not transcript.calls and shown.strip()
        seen += len(transcript.calls)
    assert seen > 50


def test_one_call_ends_the_answer(grammars: Grammars) -> None:
    matcher = grammars.calls(TOOLS, many=False)
    for seed in range(20):
        transcript = Transcript(grammars._tokenizer, calls=HERMES, one_call=True)
        constraint = Constraint(grammars, matcher, forced=True)
        RandomModel(grammars, seed).answer(constraint, transcript, limit=400)
        assert transcript.finish == "length" or len(transcript.calls) == 1


def test_without_tools_no_call_and_no_marker(grammars: Grammars) -> None:
    for seed in range(20):
        transcript = Transcript(grammars._tokenizer)
        constraint = Constraint(grammars, None, forced=False)
        shown = RandomModel(grammars, seed).answer(constraint, transcript, limit=60)
        assert shown.strip()
        assert not any(marker in shown for marker in grammars._tokenizer.control)


def test_an_answer_may_be_one_token(grammars: Grammars) -> None:
    import mlx.core as mx
    import numpy as np

    constraint = Constraint(grammars, None, forced=False)
    logits = mx.zeros((1, grammars.width))
    end = grammars._tokenizer.control["<|end|>"]
    word, blank = (grammars._tokenizer.encode(text)[0] for text in ("x", "\n"))
    assert not np.isfinite(constraint(mx.array([0]), logits)[0, end].item())
    assert np.isfinite(constraint(mx.array([0, word]), logits)[0, end].item())
    assert not np.isfinite(constraint(mx.array([0, blank]), logits)[0, end].item())


def test_silence_comes_to_an_end(grammars: Grammars) -> None:
    import mlx.core as mx
    import numpy as np

    constraint = Constraint(grammars, None, forced=False)
    logits = mx.zeros((1, grammars.width))
    word, blank = (grammars._tokenizer.encode(text)[0] for text in ("x", "\n"))
    context = [0]
    for _ in range(MAX_BLANKS):
        assert np.isfinite(constraint(mx.array(context), logits)[0, blank].item())
        context.append(blank)
        constraint.observe(blank, False)
    masked = constraint(mx.array(context), logits)[0]
    assert not np.isfinite(masked[blank].item())
    assert np.isfinite(masked[word].item())
    constraint.observe(word, True)
    assert np.isfinite(constraint(mx.array([*context, word]), logits)[0, blank].item())


def test_a_schema_constrains_the_whole_answer(grammars: Grammars) -> None:
    schema = {
        "type": "object",
        "properties": {"n": {"type": "integer", "maximum": 9, "minimum": 0}},
    }
    matcher = grammars.json({**schema, "required": ["n"], "additionalProperties": False})
    for seed in range(20):
        transcript = Transcript(grammars._tokenizer)
        constraint = Constraint(grammars, matcher, forced=True)
        shown = RandomModel(grammars, seed).answer(constraint, transcript, limit=60)
        assert json.loads(shown)["n"] in range(10)


def test_calls_are_written_as_training_writes_them(grammars: Grammars) -> None:
    text = '\n{"name": "read_file", "arguments": {"path": "a.py", "start": 1, "whole": true}}\n'
    ids = grammars._tokenizer.encode(f"<tool_call>{text}</tool_call>")
    assert grammars.calls(TOOLS, many=True).deep_copy().consume_tokens(ids)


def test_whole_pieces_of_json_in_one_token_are_allowed(grammars: Grammars) -> None:
    ids = grammars._tokenizer.encode('<tool_call>\n{"name": "grep", "arguments": {"pattern": "')
    assert len(ids) == 3
    assert grammars.calls(TOOLS, many=True).deep_copy().consume_tokens(ids)


def test_optional_arguments_may_be_left_out(grammars: Grammars) -> None:
    tool = {"name": "list", "parameters": {"properties": {"a": {"type": "string"}}}}
    ids = grammars._tokenizer.encode('<tool_call>\n{"name": "list", "arguments": {}}\n</tool_call>')
    assert grammars.calls([tool], many=True).deep_copy().consume_tokens(ids)


def nested(levels: int) -> dict[str, Any]:
    schema: dict[str, Any] = {"type": "string"}
    for _ in range(levels):
        schema = {"type": "object", "properties": {"a": schema}}
    return schema


@pytest.mark.parametrize(
    "schema",
    [
        {"type": 123},
        {"$ref": "#/nowhere"},
        {"enum": []},
        {"type": "string", "pattern": "[[["},
        {"type": "string", "minLength": 9, "maxLength": 1},
        {"type": "object", "properties": {"x": False}, "required": ["x"]},
        {"enum": ["x" * 300_000]},
        nested(40),
    ],
)
def test_a_bad_schema_is_refused(grammars: Grammars, schema: dict[str, Any]) -> None:
    with pytest.raises(GrammarError):
        grammars.json(schema)
    with pytest.raises(GrammarError):
        parameters = {"properties": {"a": schema}, "required": ["a"]}
        grammars.calls([{"name": "t", "parameters": parameters}], many=True)


def test_what_the_grammar_cannot_express_is_left_open(grammars: Grammars) -> None:
    grammars.json({"type": "array", "items": {"type": "integer"}, "uniqueItems": True})
