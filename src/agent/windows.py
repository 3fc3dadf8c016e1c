"""The context window that a server claims for a model, in the spellings of several servers."""

from collections.abc import Mapping
from typing import Any

from openai import AsyncOpenAI, OpenAIError

# ours, vLLM, LM Studio (loaded and largest), OpenRouter; llama.cpp has it in `meta`
_NAMES = (
    *("context_window", "max_model_len", "loaded_context_length"),
    *("max_context_length", "context_length"),
)
_LARGEST = 1 << 40
_PATIENCE = 5.0


def window_in(model: Mapping[str, Any]) -> int | None:
    """Tokens that a model can read by its entry in /models; None: it does not say."""
    meta = model.get("meta")
    sizes = [model.get(name) for name in _NAMES]
    sizes.append(meta.get("n_ctx") if isinstance(meta, Mapping) else None)
    return next((size for size in sizes if is_size(size)), None)


def is_size(value: object) -> bool:
    """Whether this can be a number of tokens."""
    return isinstance(value, int) and not isinstance(value, bool) and 0 < value < _LARGEST


async def claimed(client: AsyncOpenAI, model: str) -> int | None:
    """What the server says of this model; None for one that says nothing or does not answer."""
    try:
        listing: Any = await client.get("/models", cast_to=object, options={"timeout": _PATIENCE})
    except (OpenAIError, ValueError):
        return None
    entries = listing.get("data") if isinstance(listing, dict) else None
    for entry in entries if isinstance(entries, list) else []:
        if isinstance(entry, dict) and entry.get("id") == model:
            return window_in(entry)
    return None
