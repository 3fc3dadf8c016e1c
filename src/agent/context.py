"""Whether the endpoint really read the whole prompt: some servers silently cut it."""

import re
from collections.abc import Iterable, Sequence

from pydantic_ai.messages import ModelMessage

_WORD = re.compile(r"\w+")
# Tokenizers split at spaces and punctuation, so a prompt has at least a token for every word.
_SLACK = 0.9
_SURE = 256  # words below which a count proves nothing


def least_tokens(texts: Iterable[str]) -> int:
    """A lower bound of the tokens of these texts for any common tokenizer."""
    return sum(len(_WORD.findall(text)) for text in texts)


def truncation(
    messages: Sequence[ModelMessage], reported: int, window: int | None = None
) -> str | None:
    """Why the prompt cannot have been read whole, or None.

    `reported` is the endpoint's own count of prompt tokens, 0 when it gave none; `window` the
    configured context window in tokens.
    """
    if window is not None and reported > window:
        return f"The conversation has {reported} tokens; the context window has {window}."
    least = least_tokens(_texts(messages))
    if not reported or least < _SURE or reported >= least * _SLACK:
        return None
    return (
        f"The endpoint read {reported} tokens of a prompt of at least {least}: it cut the prompt "
        "silently. Raise its context window, or ask about less at once."
    )


def _texts(messages: Sequence[ModelMessage]) -> Iterable[str]:
    for message in messages:
        for part in message.parts:
            content = getattr(part, "content", None)
            if isinstance(content, str) and part.part_kind != "thinking":
                yield content
