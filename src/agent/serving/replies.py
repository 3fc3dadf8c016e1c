"""Chat completion objects as the OpenAI API has them."""

import json
import secrets
import time
from collections.abc import Mapping, Sequence
from typing import Any

from agent.serving.engine import Finished, Usage
from agent.serving.toolcalls import ToolCall
from agent.serving.weights import Identity


class Replies:
    """The objects of one answer, all under the same id and the weights' identity."""

    def __init__(self, identity: Identity) -> None:
        self._base = {
            "id": f"chatcmpl-{secrets.token_hex(12)}",
            "created": int(time.time()),
            "model": identity.id,
            "system_fingerprint": identity.weights,
        }

    def completion(self, text: str, reasoning: str, end: Finished) -> dict[str, Any]:
        """The whole answer at once."""
        message: dict[str, Any] = {"role": "assistant", "content": text or None}
        if reasoning:
            message["reasoning_content"] = reasoning
        if end.calls:
            message["tool_calls"] = tool_calls(end.calls)
        choice = {"index": 0, "message": message, "logprobs": None, "finish_reason": end.reason}
        return {
            **self._base,
            "object": "chat.completion",
            "choices": [choice],
            "usage": usage(end.usage),
        }

    def chunk(self, delta: Mapping[str, Any], finish: str | None = None) -> dict[str, Any]:
        choice = {"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish}
        return {**self._base, "object": "chat.completion.chunk", "choices": [choice]}

    def usage_chunk(self, used: Usage) -> dict[str, Any]:
        return {
            **self._base,
            "object": "chat.completion.chunk",
            "choices": [],
            "usage": usage(used),
        }


def tool_calls(calls: Sequence[ToolCall], indexed: bool = False) -> list[dict[str, Any]]:
    """Calls on the wire; a stream numbers them."""
    return [
        {
            **({"index": i} if indexed else {}),
            "id": f"call_{secrets.token_hex(8)}",
            "type": "function",
            "function": {"name": call.name, "arguments": call.arguments},
        }
        for i, call in enumerate(calls)
    ]


def usage(used: Usage) -> dict[str, Any]:
    return {
        "prompt_tokens": used.prompt_tokens,
        "completion_tokens": used.completion_tokens,
        "total_tokens": used.prompt_tokens + used.completion_tokens,
        "prompt_tokens_details": {"cached_tokens": used.cached_tokens},
    }


def sse(data: Mapping[str, Any]) -> bytes:
    """One server-sent event."""
    return f"data: {json.dumps(data, ensure_ascii=False, separators=(',', ':'))}\n\n".encode()


DONE = b"data: [DONE]\n\n"
