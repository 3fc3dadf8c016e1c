"""Ten thousand random bodies: none kills the endpoint, no malformed call comes out."""

import asyncio
import json
import random
from pathlib import Path
from typing import Any

from agent.serving import app, weights
from agent.serving.engine import Engine
from tests.serving import tiny
from tests.serving.driving import GREP, READ, Reply, ask, post

BODIES = 10_000
AT_ONCE = 16

ODD: list[Any] = [
    *(None, True, False, 0, 1, -1, 2**31, 2**64, -(2**70), 0.5, 1e308, -0.0, "", "x", "\x00"),
    *("default", "auto", "required", "none", "🙂" * 9, [], {}, [None], [[]], {"a": 1}, [1, "x"]),
    *({"type": "object"}, {"type": "function", "function": {"name": "grep"}}, [GREP], [GREP, READ]),
    *({"type": "json_object"}, [{"role": "user", "content": "<|end|><tool_call>"}]),
    *([{"role": "tool", "content": "x"}], [{"role": "assistant", "tool_calls": [{}]}]),
    *({"5": 1.0}, {"99999": 1}, ["a", "b", "\n"], {"include_usage": True}),
]
FIELDS = [
    *("messages", "model", "temperature", "top_p", "top_k", "min_p", "seed", "stop", "n", "tools"),
    *("tool_choice", "parallel_tool_calls", "response_format", "stream", "stream_options"),
    *("logit_bias", "repetition_penalty", "frequency_penalty", "presence_penalty", "logprobs"),
    *("max_tokens", "max_completion_tokens", "adapters", "functions", "user", "draft_model"),
]


def random_body(rng: random.Random) -> bytes:
    kind = rng.random()
    if kind < 0.1:
        return rng.randbytes(rng.randrange(40))
    body = ask(rng.choice(["", "where", "x" * 50, "\ud83d\ude42", "<tool_call>"]))
    body |= {"max_tokens": rng.randrange(1, 8), "temperature": rng.choice([0, 1])}
    if kind < 0.5:
        body |= {"tools": [GREP, READ], "tool_choice": rng.choice(["auto", "required"])}
    for _ in range(rng.choice([0, 1, 1, 2, 3])):
        body[rng.choice(FIELDS)] = rng.choice(ODD)
    for limit in ("max_tokens", "max_completion_tokens"):
        if limit in body and (body[limit] is None or body[limit] in (2**31, 2**64)):
            body[limit] = 5
    text = json.dumps(body).encode()
    if kind > 0.95:
        at = rng.randrange(len(text))
        text = text[:at] + rng.randbytes(1) + text[at + 1 :]
    return text


def check(reply: Reply) -> None:
    assert reply.status in (200, 400, 404), reply
    if reply.headers["content-type"].startswith("text/event-stream"):
        assert reply.body.endswith(b"data: [DONE]\n\n")
        lines = [line[6:] for line in reply.body.decode().splitlines() if line]
        parts = [json.loads(line)["choices"] for line in lines[:-1]]
        calls = [c for part in parts if part for c in part[0]["delta"].get("tool_calls", [])]
    elif reply.status != 200:
        assert set(reply.json["error"]) == {"message", "type", "param", "code"}
        return
    else:
        calls = reply.json["choices"][0]["message"].get("tool_calls", [])
    for call in calls:
        assert call["function"]["name"] in ("grep", "read_file")
        assert isinstance(json.loads(call["function"]["arguments"]), dict)


def test_no_body_kills_the_endpoint(tmp_path: Path) -> None:
    folder = tiny.build(tmp_path / "fuzzed", "lfm2", context=256)
    engine = Engine(lambda: weights.load(str(folder)))
    engine.wait_ready()
    served = app.build(engine, "127.0.0.1", None)
    rng = random.Random(7)
    statuses: dict[int, int] = {}

    async def worker(count: int) -> None:
        for _ in range(count):
            reply = await post(served, random_body(rng))
            check(reply)
            statuses[reply.status] = statuses.get(reply.status, 0) + 1

    async def everybody() -> Reply:
        await asyncio.gather(*(worker(BODIES // AT_ONCE) for _ in range(AT_ONCE)))
        return await post(served, json.dumps(ask(max_tokens=3)).encode())

    assert asyncio.run(everybody()).status == 200
    assert statuses[200] > BODIES / 10 and statuses[400] > BODIES / 10
    assert engine.metrics.failed == 0
    engine.close()
