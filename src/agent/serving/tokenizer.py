"""The tokenizer as the endpoint needs it: exact decoding, control tokens, ends of a turn."""

import re
from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from typing import Any

HERMES_START = "<tool_call>"
HERMES_END = "</tool_call>"


class Tokenizer:
    """What mlx-lm loaded, behind the few operations that serving uses.

    `configured_ends`: end-of-turn ids named by config.json and generation_config.json.
    """

    def __init__(self, wrapper: Any, configured_ends: Sequence[int] = ()) -> None:
        self._wrapper = wrapper
        self.backend: Any = wrapper.backend_tokenizer
        self.size: int = self.backend.get_vocab_size()
        self.control: dict[str, int] = {
            token.content: number
            for number, token in self.backend.get_added_tokens_decoder().items()
            if token.special or re.fullmatch(r"<[^\s<>\"]+>", token.content)
        }
        self.ends: frozenset[int] = frozenset(wrapper.eos_token_ids) | frozenset(configured_ends)
        self.ends |= frozenset(self._template_ends())

    def apply_chat_template(
        self,
        messages: Sequence[Mapping[str, Any]],
        tools: Sequence[Mapping[str, Any]] | None = None,
        add_generation_prompt: bool = False,
        tokenize: bool = False,
    ) -> str:
        """The chat template's text for `messages`; called like the one of transformers."""
        assert not tokenize, "render first, then encode"
        text: str = self._wrapper.apply_chat_template(
            messages, tools=tools, add_generation_prompt=add_generation_prompt, tokenize=False
        )
        return text

    def encode(self, text: str) -> list[int]:
        """Token ids of `text`, control tokens recognised, nothing added."""
        return list(self.backend.encode(text, add_special_tokens=False).ids)

    def encode_plain(self, text: str) -> list[int]:
        """Token ids of `text` in which no control token is recognised."""
        return list(self._plain_backend.encode(text, add_special_tokens=False).ids)

    def decode(self, ids: Sequence[int]) -> str:
        """Text of `ids`, control tokens included."""
        return str(self.backend.decode(list(ids), skip_special_tokens=False))

    def decoder(self) -> "Decoder":
        """A fresh decoder for one stream of tokens."""
        return Decoder(self)

    @property
    def has_template(self) -> bool:
        return bool(self._wrapper.has_chat_template)

    @property
    def is_hermes(self) -> bool:
        """Whether tool calls are Hermes JSON between two tokens of their own."""
        parser = self._wrapper.tool_parser
        return bool(
            parser is not None
            and parser.__module__.endswith(".json_tools")
            and HERMES_START in self.control
            and HERMES_END in self.control
        )

    @property
    def foreign_calls(self) -> tuple[str, str, Any] | None:
        """Start marker, end marker and mlx-lm's parser of another tool-call format, if any."""
        if self._wrapper.tool_parser is None or self.is_hermes:
            return None
        wrapper = self._wrapper
        return wrapper.tool_call_start, wrapper.tool_call_end or "", wrapper.tool_parser

    @property
    def thinking(self) -> tuple[str, str] | None:
        """Markers around a model's reasoning, if it has them."""
        if not self._wrapper.has_thinking:
            return None
        return self._wrapper.think_start, self._wrapper.think_end

    @cached_property
    def texts(self) -> list[str]:
        """The text of each id by itself."""
        return [self.backend.decode([number]) for number in range(self.size)]

    @cached_property
    def blank_ids(self) -> list[int]:
        """Ids whose text is empty or white space only."""
        return [number for number, text in enumerate(self.texts) if not text.strip()]

    @cached_property
    def _plain_backend(self) -> Any:
        import tokenizers

        plain = tokenizers.Tokenizer.from_str(self.backend.to_str())
        plain.encode_special_tokens = True
        return plain

    def _template_ends(self) -> Iterator[int]:
        """The control token that the chat template puts right after an assistant's answer."""
        if not self.has_template:
            return
        mark = "ANSWER"
        turns = [{"role": "user", "content": "Q"}, {"role": "assistant", "content": mark}]
        try:
            tail = self.apply_chat_template(turns).rpartition(mark)[2]
        except Exception:  # a template may refuse this conversation in any way it likes
            return
        after = self.encode(tail.lstrip())
        if after and after[0] in self.control.values():
            yield after[0]


class Decoder:
    """Turns tokens into text as they come; bytes of an unfinished character wait."""

    def __init__(self, tokenizer: Tokenizer) -> None:
        self._tokenizer = tokenizer
        self._begin()

    def _begin(self) -> None:
        from tokenizers.decoders import DecodeStream

        self._stream = DecodeStream(skip_special_tokens=False)
        self._waiting: list[int] = []

    def feed(self, token: int) -> str:
        """Text that became certain with `token`, maybe empty."""
        text = self._stream.step(self._tokenizer.backend, token)
        if text is None:
            self._waiting.append(token)
            return ""
        self._waiting.clear()
        return str(text)

    def flush(self) -> str:
        """What is left at the end: an unfinished character becomes U+FFFD."""
        if not self._waiting:
            return ""
        text = self._tokenizer.decode(self._waiting)
        self._begin()
        return text
