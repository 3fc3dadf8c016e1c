"""The copy bonus: it carries a name on to its end, and leaves everything else alone."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from agent.serving import weights
from agent.serving.blas import use_fast_blas
from agent.serving.copying import CopyBonus, joined


@pytest.fixture(scope="module")
def served() -> weights.Served:
    use_fast_blas()
    return weights.load()


def favoured(served: weights.Served, prompt: str, written: str) -> set[str]:
    """The texts of the tokens that get a bonus after `written`."""
    import mlx.core as mx

    tokenizer = served.tokenizer
    ids = tokenizer.encode(prompt)
    context = mx.array(ids + tokenizer.encode(written))
    logits: Any = CopyBonus(ids, tokenizer, 2.5)(context, mx.zeros((1, served.width)))
    values = logits[0].tolist()
    assert set(values) <= {0.0, 2.5}
    return {tokenizer.texts[i] for i, value in enumerate(values) if value}


def test_only_the_pieces_of_one_name_are_joined() -> None:
    pieces = ["in", " ", "src", "/", "feed", ".", "py", ".", " ", "Ok", "_", "x", " ", "a", "-"]
    pairs = [a + b for a, b, both in zip(pieces, pieces[1:], joined(pieces), strict=False) if both]
    assert pairs == ["src/", "/feed", "feed.", ".py", "Ok_", "_x"]
    assert joined([]) == joined(["a"]) == []


def test_a_name_begun_is_carried_on_and_not_beyond_its_end(served: weights.Served) -> None:
    question = "which classes implement ParcelStore here"
    assert favoured(served, question, '"Par') == {"cel"}
    assert favoured(served, question, '"ParcelSt') == set()
    assert favoured(served, question, '"ParcelStore') == set()


def test_two_tokens_that_match_outweigh_one(served: weights.Served) -> None:
    question = "compare app/feed.py with lib/feed.js"
    assert favoured(served, question, "app/feed") == {"."}
    assert favoured(served, question, "app/feed.") == {"py", "js"}
    assert favoured(served, question, "app/") == {"feed"}


def test_a_short_word_after_a_space_is_no_evidence(served: weights.Served) -> None:
    question = "where is tidewatch/feed.py"
    assert favoured(served, question, "It is `ti") == {"de"}
    assert favoured(served, question, "It is ti") == {"de"}  # " ti" stands in the question
    assert favoured(served, "open `tidewatch`", "It is ti") == set()


def test_only_a_model_that_asks_for_it_gets_it(tmp_path: Path, served: weights.Served) -> None:
    folder = tmp_path / "plain"
    shutil.copytree(Path(weights.__file__).parent.parent / "embedded", folder)
    config = json.loads((folder / "generation_config.json").read_text())
    (folder / "generation_config.json").write_text(json.dumps({**config, "copy_bonus": 1.5}))
    assert weights.load(str(folder)).copy_bonus == 1.5
    (folder / "generation_config.json").unlink()
    assert weights.load(str(folder)).copy_bonus == 0.0
