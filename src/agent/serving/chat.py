"""The one renderer: messages to prompt, for training, serving and benchmark alike."""

import contextlib
import json
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from agent.serving.tokenizer import Tokenizer

_PRIVATE = 0xF0000
"""First of the private characters that stand for control tokens quoted in a message."""


def render(
    tokenizer: Any,
    messages: Sequence[Mapping[str, Any]],
    tools: Sequence[Mapping[str, Any]] | None = None,
    add_generation_prompt: bool = True,
) -> str:
    """The prompt text of an OpenAI-style conversation, by the tokenizer's own chat template.

    `tokenizer`: ours or one of transformers. Arguments of tool calls may be JSON text or a dict.
    """
    text: str = tokenizer.apply_chat_template(
        [_plain(message) for message in messages],
        tools=list(tools) if tools else None,
        tokenize=False,
        add_generation_prompt=add_generation_prompt,
    )
    return text


def encode_prompt(
    tokenizer: Tokenizer,
    messages: Sequence[Mapping[str, Any]],
    tools: Sequence[Mapping[str, Any]] | None = None,
) -> list[int]:
    """Token ids of the rendered prompt, in which only the template may place control tokens.

    A file that quotes `<|end|>` cannot end its turn: such text in a message is encoded as plain
    characters. Everywhere else the ids are those of `render`'s text.
    """
    if not any(marker in text for text in _strings(messages) for marker in tokenizer.control):
        return tokenizer.encode(render(tokenizer, messages, tools))
    stand_ins = {marker: chr(_PRIVATE + i) for i, marker in enumerate(tokenizer.control)}
    quoted = {stand_in: marker for marker, stand_in in stand_ins.items()}
    markers = re.compile("|".join(map(re.escape, sorted(stand_ins, key=len, reverse=True))))
    guarded = [_replace(m, markers, stand_ins) for m in messages]
    ids: list[int] = []
    for piece in re.split(f"([{''.join(quoted)}]+)", render(tokenizer, guarded, tools)):
        if piece and piece[0] in quoted:
            ids += tokenizer.encode_plain("".join(quoted[stand_in] for stand_in in piece))
        elif piece:
            ids += tokenizer.encode(piece)
    return ids


def _plain(message: Mapping[str, Any]) -> dict[str, Any]:
    """A message in the shape chat templates expect: content a string, arguments a dict."""
    role = message["role"]
    plain: dict[str, Any] = {
        "role": "system" if role == "developer" else role,
        "content": _content(message.get("content")),
    }
    for key in ("name", "tool_call_id", "reasoning_content"):
        if message.get(key):
            plain[key] = message[key]
    if message.get("tool_calls"):
        plain["tool_calls"] = [_plain_call(call) for call in message["tool_calls"]]
    return plain


def _content(content: Any) -> str:
    if content is None:
        return ""
    if isinstance(content, str):
        return content
    return "".join(part["text"] for part in content)


def _plain_call(call: Mapping[str, Any]) -> dict[str, Any]:
    function = call["function"]
    arguments = function["arguments"]
    if isinstance(arguments, str):
        with contextlib.suppress(ValueError):  # a broken call is quoted back as it was
            arguments = json.loads(arguments or "{}")
    return {
        "type": "function",
        "id": call.get("id", ""),
        "function": {"name": function["name"], "arguments": arguments},
    }


def _strings(value: Any) -> Iterable[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        for item in value.values():
            yield from _strings(item)
    elif isinstance(value, Sequence):
        for item in value:
            yield from _strings(item)


def _replace(value: Any, markers: re.Pattern[str], stand_ins: Mapping[str, str]) -> Any:
    if isinstance(value, str):
        return markers.sub(lambda match: stand_ins[match[0]], value)
    if isinstance(value, Mapping):
        return {key: _replace(item, markers, stand_ins) for key, item in value.items()}
    if isinstance(value, Sequence):
        return [_replace(item, markers, stand_ins) for item in value]
    return value
