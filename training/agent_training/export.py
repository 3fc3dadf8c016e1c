"""From a PyTorch state dict to the folder that mlx-lm serves."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file

from agent_training.model import Lfm2


def export(model: Lfm2, tokenizer_folder: Path, target: Path) -> None:
    """Write config, generation config, tokenizer, template and bf16 weights into `target`."""
    target.mkdir(parents=True, exist_ok=True)
    ids = _token_ids(tokenizer_folder / "tokenizer.json")
    end, pad = ids["<|end|>"], ids["<|pad|>"]
    _write(target / "config.json", model.shape.config(end, pad, end))
    _write(
        target / "generation_config.json",
        {"eos_token_id": end, "pad_token_id": pad, "do_sample": False},
    )
    for name in ("tokenizer.json", "tokenizer_config.json", "chat_template.jinja"):
        (target / name).write_bytes((tokenizer_folder / name).read_bytes())
    weights = {
        f"model.{name}": tensor.detach().to(torch.bfloat16).contiguous()
        for name, tensor in model.state_dict().items()
    }
    save_file(weights, target / "model.safetensors", metadata={"format": "pt"})


def _token_ids(path: Path) -> dict[str, int]:
    return {t["content"]: t["id"] for t in json.loads(path.read_text())["added_tokens"]}


def _write(path: Path, value: dict[str, Any]) -> None:
    path.write_text(json.dumps(value, indent=1) + "\n")
