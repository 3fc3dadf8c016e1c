"""Sizes of the embedded network, and the `config.json` they make."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Shape:
    """Sizes of the network. `layers` is a string of `c` (short convolution) and `a` (attention)."""

    vocab_size: int
    hidden_size: int = 256
    layers: str = "cacaca"
    heads: int = 4
    kv_heads: int = 2
    ffn_size: int = 768
    conv_kernel: int = 3
    rope_theta: float = 10_000.0
    norm_eps: float = 1e-5
    context: int = 2048

    def config(self, eos_token_id: int, pad_token_id: int, bos_token_id: int) -> dict[str, Any]:
        """`config.json` as mlx-lm and transformers read it."""
        kinds = {"c": "conv", "a": "full_attention"}
        return {
            "architectures": ["Lfm2ForCausalLM"],
            "model_type": "lfm2",
            "vocab_size": self.vocab_size,
            "hidden_size": self.hidden_size,
            "intermediate_size": self.ffn_size,
            "num_hidden_layers": len(self.layers),
            "num_attention_heads": self.heads,
            "num_key_value_heads": self.kv_heads,
            "max_position_embeddings": self.context,
            "norm_eps": self.norm_eps,
            "conv_bias": False,
            "conv_L_cache": self.conv_kernel,
            "block_dim": self.hidden_size,
            "block_ff_dim": self.ffn_size,
            "block_multiple_of": 1,
            "block_ffn_dim_multiplier": 1.0,
            "block_auto_adjust_ff_dim": False,
            "rope_theta": self.rope_theta,
            "layer_types": [kinds[kind] for kind in self.layers],
            "full_attn_idxs": [i for i, kind in enumerate(self.layers) if kind == "a"],
            "tie_word_embeddings": True,
            "eos_token_id": eos_token_id,
            "pad_token_id": pad_token_id,
            "bos_token_id": bos_token_id,
            "torch_dtype": "bfloat16",
        }

    def initial_std(self, name: str, fan_in: int) -> float:
        """Standard deviation a matrix starts with: fan-in scaled, residual outputs smaller."""
        if "embed" in name:
            return 0.02
        residual = name.endswith(("out_proj.weight", "w2.weight"))
        return float(fan_in**-0.5 * ((2 * len(self.layers)) ** -0.5 if residual else 1.0))
