"""From a model folder to one GGUF file, which llama.cpp serves."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from agent.serving import blas

# llama.cpp cannot be given our pieces of words. Merges stay within them anyhow, so splitting
# nothing but numbers makes the same tokens, but for capitals that run into a word (HTTPServer).
_PIECES = "superbpe"
# llama.cpp tries which messages a template reads, and ours reads the last ones only: without this
# the system message would be put into the question, and no call would be parsed.
_READ_ALL = "{%- set read = messages | tojson -%}"


def write(model: Path, target: Path) -> None:
    """Write `target` from a folder as `export` makes it, weights in f16.

    Raises ValueError for a model of another architecture, OSError for a file.
    """
    import gguf

    config = _json(model / "config.json")
    if config.get("model_type") != "lfm2":
        raise ValueError(f"{model} is no lfm2 model, as `agent train` makes them.")
    writer = gguf.GGUFWriter(target, "lfm2")
    writer.add_name("agent")
    writer.add_file_type(gguf.LlamaFileType.MOSTLY_F16)
    _add_shape(writer, config)
    _add_tokenizer(writer, _json(model / "tokenizer.json"), config)
    writer.add_chat_template(_READ_ALL + (model / "chat_template.jinja").read_text())
    _add_weights(writer, model / "model.safetensors", config["num_hidden_layers"])
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def _add_shape(writer: Any, config: dict[str, Any]) -> None:
    kv_heads = {"conv": 0, "full_attention": config["num_key_value_heads"]}
    writer.add_vocab_size(config["vocab_size"])
    writer.add_context_length(config["max_position_embeddings"])
    writer.add_embedding_length(config["hidden_size"])
    writer.add_block_count(config["num_hidden_layers"])
    writer.add_feed_forward_length(config["intermediate_size"])
    writer.add_head_count(config["num_attention_heads"])
    writer.add_head_count_kv([kv_heads[kind] for kind in config["layer_types"]])
    writer.add_rope_freq_base(config["rope_theta"])
    writer.add_layer_norm_rms_eps(config["norm_eps"])
    writer.add_shortconv_l_cache(config["conv_L_cache"])


def _add_tokenizer(writer: Any, tokenizer: dict[str, Any], config: dict[str, Any]) -> None:
    from gguf import TokenType

    ids, kinds = dict(tokenizer["model"]["vocab"]), {}
    for token in tokenizer["added_tokens"]:
        text = token["content"]
        # What llama.cpp parses has to come out as text.
        hidden = token["special"] and "tool_call" not in text
        ids[text] = token["id"]
        kinds[text] = TokenType.CONTROL if hidden else TokenType.USER_DEFINED
    for number in range(len(ids), config["vocab_size"]):
        ids[text := f"<|unused {number}|>"] = number
        kinds[text] = TokenType.UNUSED
    texts = sorted(ids, key=ids.__getitem__)
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre(_PIECES)
    writer.add_token_list(texts)
    writer.add_token_types([kinds.get(text, TokenType.NORMAL) for text in texts])
    writer.add_token_merges([" ".join(pair) for pair in tokenizer["model"]["merges"]])
    writer.add_bos_token_id(config["bos_token_id"])
    writer.add_eos_token_id(config["eos_token_id"])
    writer.add_pad_token_id(config["pad_token_id"])
    writer.add_add_bos_token(False)


def _add_weights(writer: Any, weights: Path, layers: int) -> None:
    blas.use_fast_blas()
    import gguf
    import mlx.core as mx
    import numpy as np

    names = gguf.get_tensor_name_map(gguf.MODEL_ARCH.LFM2, layers)
    loaded: Any = mx.load(str(weights))
    for ours, weight in loaded.items():
        array = np.array(weight.astype(mx.float32)).squeeze()
        whole = array.ndim == 1 or ours.endswith("conv.conv.weight")
        name = names.get_name(ours, try_suffixes=(".weight",))
        writer.add_tensor(name, array if whole else array.astype(np.float16))


def _json(path: Path) -> dict[str, Any]:
    loaded: dict[str, Any] = json.loads(path.read_text())
    return loaded
