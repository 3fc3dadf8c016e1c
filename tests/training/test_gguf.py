"""A model as one GGUF file: nothing is lost on the way."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from agent.serving import blas
from agent_training import cli

gguf = pytest.importorskip("gguf", reason="needs the extra `gguf`")
EMBEDDED = Path(__file__).parents[2] / "src" / "agent" / "embedded"


@pytest.fixture(scope="module")
def read(tmp_path_factory: pytest.TempPathFactory) -> Any:
    file = tmp_path_factory.mktemp("gguf") / "embedded.gguf"
    assert cli.main(["export", "--gguf", str(file)]) == 0
    return gguf.GGUFReader(file)


def test_every_weight_is_there(read: Any) -> None:
    blas.use_fast_blas()
    import mlx.core as mx

    loaded: Any = mx.load(str(EMBEDDED / "model.safetensors"))
    ours = [np.array(weight.astype(mx.float32)).ravel() for weight in loaded.values()]
    theirs = [tensor.data.astype(np.float32).ravel() for tensor in read.tensors]
    assert len(ours) == len(theirs)
    assert all(np.allclose(a, b, rtol=1e-3, atol=1e-7) for a, b in zip(ours, theirs, strict=True))


def test_every_token_keeps_its_number(read: Any) -> None:
    from tokenizers import Tokenizer

    tokenizer = Tokenizer.from_file(str(EMBEDDED / "tokenizer.json"))
    texts = read.fields["tokenizer.ggml.tokens"].contents()
    known = tokenizer.get_vocab_size()
    assert texts[:known] == [tokenizer.id_to_token(i) for i in range(known)]
    assert len(set(texts)) == json.loads((EMBEDDED / "config.json").read_text())["vocab_size"]


def test_what_is_no_model_of_ours(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "config.json").write_text('{"model_type": "llama"}')
    for folder, said in ((tmp_path, "is no lfm2 model"), (tmp_path / "nowhere", "No such file")):
        assert cli.main(["export", "--gguf", str(tmp_path / "a"), "-m", str(folder)]) == 1
        assert said in capsys.readouterr().err
    assert not (tmp_path / "a").exists()
