"""Whether the endpoint really read the whole prompt: some servers silently cut it."""

import re
from collections.abc import Iterable, Sequence

from pydantic_ai.messages import ModelMessage

_WORD = re.compile(r"\w+")
# Tokenizers split at spaces and punctuation, so a prompt has at least a token for every word.
_SLACK = 0.9
_SURE = 256  # words below which a count proves nothing
_CUT = (
    "The endpoint read {reported} tokens of a prompt of at least {least}: it cut the prompt "
    "silently. Raise its context window, or ask about less at once."
)


def least_tokens(texts: Iterable[str]) -> int:
    """A lower bound of the tokens of these texts for any common tokenizer."""
    return sum(len(_WORD.findall(text)) for text in texts)


class Meter:
    """Compares the endpoint's count of each prompt with what the prompt must have at least.

    `window`: the configured context window in tokens. `whole`: whether the endpoint means to read
    the whole prompt; the embedded model's own template cuts it on purpose.
    """

    def __init__(self, window: int | None = None, *, whole: bool = True) -> None:
        self._window = window
        self._whole = whole
        self._last: tuple[int, int] | None = None

    def problem(
        self, messages: Sequence[ModelMessage], reported: int, without_tools: bool = False
    ) -> str | None:
        """Why the prompt cannot have been read whole, or None.

        `reported` is the endpoint's count of prompt tokens, 0 when it gave none. `without_tools`
        says that this prompt lacks the tool schemas, so that its size compares with no other.
        """
        if not reported or not self._whole:
            return None
        if self._window is not None and reported > self._window:
            return f"The conversation has {reported} tokens; the context window has {self._window}."
        least = least_tokens(_texts(messages))
        before, self._last = self._last, None if without_tools else (reported, least)
        if _too_few(reported, least):
            return _CUT.format(reported=reported, least=least)
        if before and self._last and _too_few(reported - before[0], least - before[1]):
            least = before[0] + least - before[1]
            return _CUT.format(reported=reported, least=least)
        return None


def _too_few(reported: int, least: int) -> bool:
    return least >= _SURE and reported < least * _SLACK


def _texts(messages: Sequence[ModelMessage]) -> Iterable[str]:
    for message in messages:
        for part in message.parts:
            content = getattr(part, "content", None)
            if isinstance(content, str) and part.part_kind != "thinking":
                yield content
