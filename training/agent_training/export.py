"""From a checkpoint to the folder that mlx-lm serves."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from agent.serving import blas
from agent_training.shape import Shape


def export(
    checkpoint: Path, shape: Shape, tokenizer: Path, target: Path, copy_bonus: float = 0.0
) -> None:
    """Write config, generation config, tokenizer, template and bf16 weights into `target`.

    `copy_bonus`: what serving adds to the logits of tokens that carry a copied name on.
    """
    blas.use_fast_blas()
    import mlx.core as mx

    target.mkdir(parents=True, exist_ok=True)
    ids = _token_ids(tokenizer / "tokenizer.json")
    end, pad = ids["<|end|>"], ids["<|pad|>"]
    _write(target / "config.json", shape.config(end, pad, end))
    _write(
        target / "generation_config.json",
        {"eos_token_id": end, "pad_token_id": pad, "do_sample": False}
        | ({"copy_bonus": copy_bonus} if copy_bonus else {}),
    )
    for name in ("tokenizer.json", "tokenizer_config.json", "chat_template.jinja"):
        (target / name).write_bytes((tokenizer / name).read_bytes())
    trained: Any = mx.load(str(checkpoint))
    weights = {name: weight.astype(mx.bfloat16) for name, weight in trained.items()}
    mx.save_safetensors(str(target / "model.safetensors"), weights, metadata={"format": "pt"})


def _token_ids(path: Path) -> dict[str, int]:
    return {t["content"]: t["id"] for t in json.loads(path.read_text())["added_tokens"]}


def _write(path: Path, value: dict[str, Any]) -> None:
    path.write_text(json.dumps(value, indent=1) + "\n")
