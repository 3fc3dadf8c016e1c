"""Tiny models with random weights, built on the spot: real architectures, nothing downloaded."""

import json
from pathlib import Path
from typing import Any

from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers, trainers

from agent.serving.blas import use_fast_blas

SPECIAL = ["<|user|>", "<|assistant|>", "<|tool|>", "<|tools|>", "<|end|>", "<|pad|>"]
MARKERS = ["<tool_call>", "</tool_call>"]
PLAIN_ADDED = ['{"name": "grep", "arguments": {"pattern": "', '{"name": "', '", "arguments": {']

TEMPLATE = """\
{%- if tools %}<|tools|>{% for tool in tools %}{{ tool.function.name }} {% endfor %}{% endif -%}
{%- for message in messages -%}
{%- if message.role == 'user' -%}<|user|>{{ message.content }}<|end|>
{%- elif message.role == 'tool' -%}<|tool|>{{ message.content }}<|end|>
{%- elif message.role == 'assistant' -%}<|assistant|>{{ message.content or '' }}
{%- for tool_call in message.tool_calls or [] -%}
{%- if tool_call.function is defined %}{% set tool_call = tool_call.function %}{% endif -%}
<tool_call>
{"name": "{{ tool_call.name }}", "arguments": {{ tool_call.arguments | tojson }}}
</tool_call>
{%- endfor -%}<|end|>
{%- endif -%}
{%- endfor -%}
{%- if add_generation_prompt %}<|assistant|>{% endif -%}
"""

SHAPES: dict[str, dict[str, Any]] = {
    "lfm2": {
        "norm_eps": 1e-5,
        "conv_bias": False,
        "conv_L_cache": 3,
        "block_dim": 64,
        "block_ff_dim": 128,
        "block_multiple_of": 32,
        "block_ffn_dim_multiplier": 1.0,
        "block_auto_adjust_ff_dim": False,
        "layer_types": ["conv", "full_attention", "conv", "full_attention"],
        "rope_theta": 10000.0,
        "full_attn_idxs": [1, 3],
    },
    "llama": {"rms_norm_eps": 1e-5, "intermediate_size": 128, "rope_theta": 10000.0},
}


def build(folder: Path, kind: str = "lfm2", context: int = 512, seed: int = 0) -> Path:
    """Write a model of `kind` ("lfm2" or "llama") with random weights to `folder`."""
    folder.mkdir(parents=True, exist_ok=True)
    tokenizer = _tokenizer()
    tokenizer.save(str(folder / "tokenizer.json"))
    end = tokenizer.token_to_id("<|end|>")
    config = {
        "model_type": kind,
        "vocab_size": tokenizer.get_vocab_size(),
        "hidden_size": 64,
        "num_hidden_layers": 4,
        "num_attention_heads": 4,
        "num_key_value_heads": 2,
        "max_position_embeddings": context,
        "tie_word_embeddings": True,
        "eos_token_id": end,
        **SHAPES[kind],
    }
    settings = {
        "tokenizer_class": "PreTrainedTokenizerFast",
        "eos_token": "<|end|>",
        "pad_token": "<|pad|>",
        "clean_up_tokenization_spaces": False,
    }
    (folder / "config.json").write_text(json.dumps(config))
    (folder / "tokenizer_config.json").write_text(json.dumps(settings))
    (folder / "chat_template.jinja").write_text(TEMPLATE)
    _weights(folder, config, seed)
    return folder


def _tokenizer() -> Tokenizer:
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    words = "the class that reads a file and returns its lines where def import path count"
    trainer = trainers.BpeTrainer(
        vocab_size=560,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator([words, words.title(), json.dumps({"name": words})], trainer)
    tokenizer.add_special_tokens([AddedToken(t, special=True) for t in SPECIAL + MARKERS])
    tokenizer.add_tokens([AddedToken(t, special=False, normalized=False) for t in PLAIN_ADDED])
    return tokenizer


def _weights(folder: Path, config: dict[str, Any], seed: int) -> None:
    use_fast_blas()
    import mlx.core as mx
    from mlx.utils import tree_flatten, tree_map
    from mlx_lm.utils import _get_classes

    model_class, args_class = _get_classes(config)
    model = model_class(args_class.from_dict(config))
    mx.random.seed(seed)
    weights = tree_map(lambda w: mx.random.normal(w.shape) * 0.3, model.parameters())
    mx.save_safetensors(str(folder / "model.safetensors"), dict(tree_flatten(weights)))
