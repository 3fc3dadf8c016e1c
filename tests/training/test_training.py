"""Training, small but real: masks, one overfit run per backend, and what is exported."""

from __future__ import annotations

import json
import random
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from agent.serving import blas, lean
from agent.serving.chat import render
from agent_training import tokenizer as tokenizers
from agent_training.batches import Example, collate, epoch
from agent_training.calibrate import EMBEDDING, balanced, best_threshold, calibrate
from agent_training.dataset import Encoder, Weights
from agent_training.export import export
from agent_training.loop import Schedule, TrainingError, run_phase
from agent_training.names import kind_of
from agent_training.noise import distracted
from agent_training.shape import Shape
from agent_training.swapping import practise, variants

EMBEDDED_SHAPE = Shape(8192, layers="cacacaa")
SHAPE = Shape(vocab_size=640, hidden_size=64, layers="ca", heads=2, kv_heads=1, ffn_size=96)
EMBEDDED = Path(__file__).parents[2] / "src" / "agent" / "embedded"
NAMES = ["find_file", "Parser", "HTTPClient", "retry_after", "OrderQueue", "to_json", "Lexer", "Io"]


def call(name: str, **arguments: Any) -> dict[str, Any]:
    function = {"name": name, "arguments": json.dumps(arguments, ensure_ascii=False)}
    return {"id": "1", "type": "function", "function": function}


def rows() -> list[dict[str, Any]]:
    return [
        {
            "tools": ["grep", "read_file"],
            "messages": [
                {"role": "user", "content": f"where is {name}?"},
                {"role": "assistant", "content": "", "tool_calls": [call("grep", pattern=name)]},
                {"role": "tool", "content": f"1 match in 1 file\na.py:{n}: {name}"},
                {"role": "assistant", "content": f"`{name}` is in `a.py` at line {n}."},
            ],
        }
        for n, name in enumerate(NAMES)
    ]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    target = tmp_path_factory.mktemp("tokenizer")
    texts = [message["content"] for row in rows() for message in row["messages"]]
    trained = tokenizers.train_tokenizer(texts * 4, SHAPE.vocab_size)
    tokenizers.save(trained, target, SHAPE.context)
    return target


@pytest.fixture(scope="module")
def encoder(folder: Path) -> Encoder:
    return Encoder(folder, Weights(auxiliary_share=0.5), max_tokens=400)


@pytest.fixture(scope="module")
def examples(encoder: Encoder) -> list[Example]:
    found, dropped = encoder.examples(rows())
    assert dropped == 0
    return found


def supervised(encoder: Encoder, example: Example) -> str:
    return str(encoder.tokenizer.decode(example.tokens[example.weights >= 1]))


def test_every_assistant_turn_is_supervised_up_to_its_end_and_nothing_else(
    encoder: Encoder, examples: list[Example]
) -> None:
    text = supervised(encoder, examples[2])
    assert text == (
        '<tool_call>\n{"name": "grep", "arguments": {"pattern": "HTTPClient"}}\n</tool_call><|end|>'
        "`HTTPClient` is in `a.py` at line 2.<|end|>"
    )


def test_an_earlier_answer_is_context_not_a_target(encoder: Encoder) -> None:
    turns = [
        {"role": "user", "content": "hello"},
        {"role": "assistant", "content": "Hello to you."},
        {"role": "user", "content": "bye"},
        {"role": "assistant", "content": "Goodbye."},
    ]
    (example,), _ = encoder.examples([{"tools": [], "messages": turns}])
    assert supervised(encoder, example) == "Goodbye.<|end|>"


def test_training_and_serving_render_the_same_prefix(encoder: Encoder) -> None:
    row = rows()[0]
    tools = [{"type": "function", "function": {"name": name}} for name in row["tools"]]
    whole = encoder.text(row)
    for turn in (1, 3):
        prompt = render(encoder.tokenizer, row["messages"][:turn], tools)
        assert whole.startswith(prompt)
        assert prompt.endswith("<|assistant|>")


def test_a_row_over_the_limit_is_dropped_and_counted_never_cut(encoder: Encoder) -> None:
    long = [{"role": "user", "content": "x. " * 400}, {"role": "assistant", "content": "No."}]
    assert encoder.examples([{"tools": [], "messages": long}]) == ([], 1)


def test_padding_carries_no_weight_and_targets_are_the_next_tokens(
    examples: list[Example],
) -> None:
    short = Example(np.array([5, 6, 7], np.int32), np.array([0, 0, 2], np.float32))
    batch = collate([short, examples[0]])
    assert batch.inputs.shape[1] % 32 == 0
    first_row = batch.positions < batch.inputs.shape[1]
    assert batch.targets[first_row].tolist() == [7]
    assert batch.weights[first_row].tolist() == [2]


def test_an_epoch_holds_every_example_once(examples: list[Example]) -> None:
    batches = list(epoch(examples, tokens_per_batch=256, seed=3))
    assert sum(len(batch.inputs) for batch in batches) == len(examples)
    assert all(batch.inputs.size <= 256 for batch in batches)


def test_copying_practice_keeps_the_decision_and_swaps_one_name_in_question_and_call() -> None:
    practised = list(practise(rows(), share=1.0, seed=0))
    names = set()
    for before, row in zip(rows(), practised, strict=True):
        question, answer, *_ = row["messages"]
        (made,) = answer["tool_calls"]
        name = json.loads(made["function"]["arguments"])["pattern"]
        assert question["content"] == f"where is {name}?"
        assert kind_of(name) == kind_of(before["messages"][0]["content"][9:-1])
        names.add(name)
    assert names - set(NAMES)
    assert list(practise(rows(), share=0.0, seed=0)) == rows()


def _change(content: str) -> dict[str, Any]:
    arguments = json.dumps({"path": "notes/todo.txt", "content": content})
    function = {"name": "write_file", "arguments": arguments}
    return {
        "tools": ["write_file"],
        "messages": [
            {"role": "user", "content": f"put '{content}' into notes/todo.txt"},
            {"role": "assistant", "content": "", "tool_calls": [{"function": function}]},
            {"role": "tool", "content": "src/a.py:3: return self._total(order)"},
            {"role": "assistant", "content": "Created notes/todo.txt (1 line)."},
        ],
    }


def test_a_text_to_write_is_practised_with_other_texts_and_more_often() -> None:
    made = list(variants([*rows(), _change("buy milk")], 0.0, 2, 3, ["zor", "qui", "vex"]))
    written = [row for row in made if row["tools"] == ["write_file"]]
    assert len(made) == 2 * (len(rows()) + 1) + 2 * 3
    assert len(written) == 2 * (1 + 3)
    contents = set()
    for row in written:
        question, call, *_ = row["messages"]
        arguments = json.loads(call["tool_calls"][0]["function"]["arguments"])
        contents.add(arguments["content"])
        assert arguments["content"] in question["content"]
        assert arguments["path"] in question["content"]
    assert len(contents) > 2


def test_names_are_swapped_in_every_turn_of_a_whole_dialogue() -> None:
    path = "shop/stock_ledger.py"
    call = {"name": "grep", "arguments": json.dumps({"pattern": r"\bMAX_ITEMS\s*[:=]"})}
    row = {
        "tools": ["grep"],
        "messages": [
            {"role": "user", "content": "value of MAX_ITEMS?"},
            {"role": "assistant", "content": "", "tool_calls": [{"function": call}]},
            {"role": "tool", "content": f"1 match in 1 file\n{path}:5: MAX_ITEMS = 40"},
            {"role": "assistant", "content": f"`MAX_ITEMS` is `40` (`{path}:5`)."},
        ],
    }
    whole = []
    for seed in range(40):
        (made,) = practise([row], 1.0, seed, ["zor", "qui", "vex", "dra"])
        if len(made["messages"]) == 4:
            whole.append(made["messages"])
    assert whole
    for question, asked, result, answer in whole:
        pattern = json.loads(asked["tool_calls"][0]["function"]["arguments"])["pattern"]
        name = pattern.removeprefix(r"\b").removesuffix(r"\s*[:=]")
        cited = answer["content"].partition("(`")[2].partition(":5`")[0]
        assert question["content"] == f"value of {name}?"
        assert result["content"] == f"1 match in 1 file\n{cited}:5: {name} = 40"
        assert answer["content"].startswith(f"`{name}` is")
    assert {messages[3]["content"] for messages in whole} != {row["messages"][3]["content"]}


def test_slips_and_remarks_leave_names_and_what_tells_the_label_alone() -> None:
    said = "please tell me where in our repo the Parser.run method is defined today"
    words, asides = ["zebra"], ["no coffee yet"]
    made = {
        distracted(said, '{"pattern": "Parser"}', words, asides, random.Random(n))
        for n in range(300)
    }
    assert len(made) > 20 and any("coffee" in text for text in made)
    assert all("our repo" in text and "Parser.run" in text for text in made)
    quoted = "what is wrong here?\n\ndef f(): pass"
    assert {distracted(quoted, "", words, asides, random.Random(n)) for n in range(50)} == {quoted}


@pytest.mark.parametrize("lean", [-3.0, 3.0])
def test_calibration_moves_the_threshold_to_where_the_kinds_part(lean: float) -> None:
    rng = np.random.default_rng(0)
    wanted = np.arange(400) % 2 == 0
    margins = rng.normal(np.where(wanted, 2.0, -2.0), 1.0) + lean
    assert best_threshold(margins, wanted) == pytest.approx(lean, abs=0.7)
    assert balanced(margins > best_threshold(margins, wanted), wanted) > 0.96
    assert balanced(margins > 0, wanted) < 0.9


def embedding(checkpoint: Path) -> Any:
    blas.use_fast_blas()
    import mlx.core as mx

    loaded: Any = mx.load(str(checkpoint))
    return np.array(loaded[EMBEDDING].astype(mx.float32))


@pytest.mark.parametrize("strength", [0.0, 0.5, 1.0])
def test_calibration_moves_one_token_as_far_as_it_is_told(tmp_path: Path, strength: float) -> None:
    encoder = Encoder(EMBEDDED, Weights(auxiliary_share=0), max_tokens=400)
    answer = {"role": "assistant", "content": "Hello."}
    general = [{"tools": [], "messages": [*row["messages"][:1], answer]} for row in rows()]
    kinds = [(rows(), True), (general, False)]
    found = [(e, is_call) for kind, is_call in kinds for e in encoder.examples(kind)[0]]
    before = embedding(EMBEDDED / "model.safetensors")
    shifts = []
    for share in (strength, 1.0):
        copy = tmp_path / f"{share}.safetensors"
        shutil.copyfile(EMBEDDED / "model.safetensors", copy)
        calibrate(copy, EMBEDDED_SHAPE, found, encoder.call, share)
        moved = embedding(copy) - before
        assert not np.delete(moved, encoder.call, axis=0).any()
        shifts.append(moved[encoder.call])
    assert np.allclose(shifts[0], strength * shifts[1], atol=1e-2)


def test_boilerplate_and_identifiers_are_tokens_made_for_copying(encoder: Encoder) -> None:
    def pieces(text: str) -> list[str]:
        backend = encoder.tokenizer.backend_tokenizer
        return [backend.decode([n]) for n in backend.encode(text, add_special_tokens=False).ids]

    copied = pieces("HTTPClient")
    assert pieces('\n{"name": "grep", "arguments": {"pattern": "HTTPClient"}}\n')[1:-1] == copied
    assert pieces("where is HTTPClient?")[-len(copied) - 1 : -1] == copied


def backend(kind: str, schedule: Schedule, start: Path | None = None) -> Any:
    blas.use_fast_blas()
    if kind == "mlx":
        from agent_training.mlx_backend import MlxBackend

        return MlxBackend(SHAPE, schedule, start)
    pytest.importorskip("torch", reason="PyTorch is an extra: pip install torch==2.13.0")
    from agent_training.torch_backend import TorchBackend

    return TorchBackend(SHAPE, schedule, start)


KINDS = ["mlx", pytest.param("torch", marks=pytest.mark.torch)]


@pytest.mark.parametrize("kind", KINDS)
def test_eight_rows_are_learned_exactly_and_what_is_served_answers_them(
    kind: str, folder: Path, encoder: Encoder, examples: list[Example], tmp_path: Path
) -> None:
    schedule = Schedule(tokens=90 * 1024, tokens_per_batch=1024)
    checkpoint = tmp_path / "learned.safetensors"
    figures = run_phase(
        backend(kind, schedule), examples, schedule, checkpoint, examples, report=lambda text: None
    )
    assert figures["validation_exact"] == 1.0

    export(checkpoint, SHAPE, folder, tmp_path / "model")
    lean.make_full()
    from mlx_lm import generate, load

    model, served = load(str(tmp_path / "model"))
    tools = [{"type": "function", "function": {"name": name}} for name in ("grep", "read_file")]
    prompt = render(served, [{"role": "user", "content": "where is Lexer?"}], tools)
    text = generate(model, served, prompt, max_tokens=60)
    assert '{"name": "grep", "arguments": {"pattern": "Lexer"}}' in text


@pytest.mark.torch
def test_both_backends_see_the_same_loss_from_the_same_weights(
    examples: list[Example], tmp_path: Path
) -> None:
    schedule = Schedule(tokens=1e6)
    torch = backend("torch", schedule)
    torch.save(tmp_path / "start.safetensors")
    mlx = backend("mlx", schedule, tmp_path / "start.safetensors")
    batch = collate(examples)
    assert torch.step(batch, 0.0) == pytest.approx(mlx.step(batch, 0.0), rel=0.02)
    mlx.save(tmp_path / "again.safetensors")
    again = backend("torch", schedule, tmp_path / "again.safetensors")
    assert again.step(batch, 0.0) == pytest.approx(torch.step(batch, 0.0), rel=0.02)


class Broken:
    """A backend whose loss is not a number."""

    saved = False

    def step(self, batch: Any, multiplier: float) -> float:
        return float("nan")

    def save(self, path: Path) -> None:
        self.saved = True


def test_a_loss_that_is_no_number_ends_the_run_and_overwrites_nothing(
    examples: list[Example], tmp_path: Path
) -> None:
    broken: Any = Broken()
    with pytest.raises(TrainingError, match="nan"):
        run_phase(broken, examples, Schedule(tokens=1e6), tmp_path / "x.safetensors")
    assert not broken.saved


@pytest.mark.parametrize("progress", [0.0, 0.005, 0.3, 0.75, 1.0])
def test_the_learning_rate_rises_stays_and_falls(progress: float) -> None:
    schedule = Schedule(tokens=1, warmup=0.01, decay=0.5)
    assert 0 < schedule.multiplier(progress) <= 1
    assert schedule.multiplier(0.3) == 1.0
    assert schedule.multiplier(1.0) == pytest.approx(0.02)
