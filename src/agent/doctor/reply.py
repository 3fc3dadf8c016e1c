"""A server's answer as it really came: read leniently, so that what is wrong can be named."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

_MOST_TOKENS = 1 << 40


@dataclass
class Call:
    """A tool call; `arguments` is the text that came, JSON or not."""

    name: str = ""
    arguments: str = ""
    id: str = ""


@dataclass
class Reply:
    """An answer, or in `failure` why there is none. Counts are None when the server gave none.

    `first` and `seconds`: seconds to the first piece of the answer, and to its end.
    """

    text: str = ""
    calls: list[Call] = field(default_factory=list)
    finish: str | None = None
    model: str = ""
    fingerprint: str = ""
    weights: str = ""
    prompt_tokens: int | None = None
    completion_tokens: int | None = None
    cached_tokens: int | None = None
    status: int = 0
    first: float = 0.0
    seconds: float = 0.0
    failure: str = ""

    def take(self, fields: object) -> bool:
        """Add a completion or a chunk of one; returns whether it brought a piece of the answer.

        Raises ValueError when it is neither.
        """
        if not isinstance(fields, dict) or not isinstance(fields.get("choices"), list):
            raise ValueError(_error_in(fields) or "it has no choices")
        self.model = str(fields.get("model") or self.model)
        self.fingerprint = str(fields.get("system_fingerprint") or self.fingerprint)
        self._count(_mapping(fields.get("usage")))
        brought = False
        for choice in map(_mapping, fields["choices"][:1]):
            brought = self._add(_mapping(choice.get("message") or choice.get("delta")))
            self.finish = str(choice.get("finish_reason") or self.finish or "") or None
        return brought

    def _add(self, message: Mapping[str, Any]) -> bool:
        content = message.get("content")
        self.text += content if isinstance(content, str) else ""
        thought = message.get("reasoning_content") or message.get("reasoning")
        entries = message.get("tool_calls")
        for position, entry in enumerate(entries if isinstance(entries, list) else []):
            self._add_call(_mapping(entry), position)
        return bool(content or entries or thought)

    def _add_call(self, entry: Mapping[str, Any], position: int) -> None:
        index = entry.get("index", position)
        if not isinstance(index, int) or not 0 <= index <= len(self.calls):
            index = len(self.calls)
        if index == len(self.calls):
            self.calls.append(Call())
        call, function = self.calls[index], _mapping(entry.get("function"))
        call.id += str(entry.get("id") or "") if not call.id else ""
        call.name += str(function.get("name") or "")
        arguments = function.get("arguments") or ""
        call.arguments += arguments if isinstance(arguments, str) else json.dumps(arguments)

    def _count(self, usage: Mapping[str, Any]) -> None:
        details = _mapping(usage.get("prompt_tokens_details"))
        for name, value in (
            ("prompt_tokens", usage.get("prompt_tokens")),
            ("completion_tokens", usage.get("completion_tokens")),
            ("cached_tokens", details.get("cached_tokens")),
        ):
            if isinstance(value, int) and 0 <= value < _MOST_TOKENS:
                setattr(self, name, value)


def events(pieces: Iterator[str]) -> Iterator[str]:
    """The data of server-sent events in a text that comes in pieces."""
    held = ""
    for piece in pieces:
        *lines, held = (held + piece).split("\n")
        yield from (line[5:].strip() for line in lines if line.startswith("data:"))
    if held.startswith("data:"):
        yield held[5:].strip()


def parsed(text: str) -> object:
    """The JSON value. Raises ValueError for what is none, or is nested without end."""
    try:
        return json.loads(text)
    except RecursionError:
        raise ValueError("nested too deeply") from None


def message(body: str) -> str:
    """What an HTTP error says, in short."""
    try:
        said = _error_in(parsed(body))
    except ValueError:
        said = "" if body.lstrip().startswith("<") else body
    return said[:200]


def _error_in(fields: object) -> str:
    inner = _mapping(fields).get("error") or _mapping(fields).get("detail")
    return str(_mapping(inner).get("message") or inner or "")


def _mapping(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}
