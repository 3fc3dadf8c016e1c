"""The endpoint over real HTTP, as the openai package and raw sockets see it."""

import json
import socket
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from urllib.parse import urlsplit
from urllib.request import Request, urlopen

import openai
import pytest
from openai import OpenAI

from agent.serving.local import LocalEndpoint
from tests.serving.driving import GREP, READ, ask

USER: Any = [{"role": "user", "content": "where is x"}]
TOOLS: Any = [GREP, READ]


def get(endpoint: LocalEndpoint, path: str) -> str:
    root = endpoint.base_url.removesuffix("/v1")
    request = Request(root + path, headers={"Authorization": f"Bearer {endpoint.token}"})
    with urlopen(request) as response:
        return str(response.read().decode())


def metric(endpoint: LocalEndpoint, name: str) -> int:
    lines = get(endpoint, "/metrics").splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(f"agent_{name} "))


def test_a_whole_answer(client: OpenAI, endpoint: LocalEndpoint) -> None:
    raw = client.chat.completions.with_raw_response.create(
        model="default", messages=USER, max_tokens=8
    )
    answer = raw.parse()
    assert raw.headers["x-agent-weights"] == answer.system_fingerprint == endpoint.wait_ready()
    assert answer.model == endpoint.model
    assert answer.choices[0].message.content
    assert answer.usage is not None and answer.usage.completion_tokens <= 8
    details = answer.usage.prompt_tokens_details
    assert details is not None and details.cached_tokens is not None


@pytest.mark.parametrize("choice", ["auto", "required"])
def test_a_stream_says_the_same_as_the_whole(client: OpenAI, choice: Any) -> None:
    fields: Any = {"model": "default", "messages": USER, "max_tokens": 60, "seed": 4}
    fields |= {"tools": TOOLS, "tool_choice": choice, "temperature": 0.8}
    whole = client.chat.completions.create(**fields)
    chunks = list(
        client.chat.completions.create(
            **fields, stream=True, stream_options={"include_usage": True}
        )
    )
    last = chunks[-2].choices[0].finish_reason
    text = "".join(c.choices[0].delta.content or "" for c in chunks if c.choices)
    calls = [
        c for chunk in chunks if chunk.choices for c in chunk.choices[0].delta.tool_calls or []
    ]
    assert (text or None) == whole.choices[0].message.content
    assert last == whole.choices[0].finish_reason
    expected = [c.function for c in whole.choices[0].message.tool_calls or []]  # type: ignore[union-attr]
    got = [(c.function.name, c.function.arguments) for c in calls if c.function]
    assert got == [(f.name, f.arguments) for f in expected]
    assert whole.usage is not None and chunks[-1].usage is not None
    assert chunks[-1].usage.completion_tokens == whole.usage.completion_tokens


def test_required_and_named_tools_are_called(client: OpenAI) -> None:
    for seed in range(10):
        answer = client.chat.completions.create(
            model="default", messages=USER, tools=TOOLS, seed=seed, temperature=1.0,
            max_tokens=300, parallel_tool_calls=False,
            tool_choice={"type": "function", "function": {"name": "read_file"}},
        )  # fmt: skip
        choice = answer.choices[0]
        if choice.finish_reason == "length":
            assert not choice.message.tool_calls
            continue
        assert choice.finish_reason == "tool_calls"
        (call,) = choice.message.tool_calls or []
        assert call.type == "function" and call.function.name == "read_file"
        assert json.loads(call.function.arguments).keys() == {"path", "start", "whole"}


def test_no_tool_is_called_when_none_may_be(client: OpenAI) -> None:
    bias = {"346": 100, "347": 100}
    for fields in ({"tools": TOOLS, "tool_choice": "none"}, {}):
        answer: Any = client.chat.completions.create(
            model="default", messages=USER, max_tokens=30, logit_bias=bias, **fields
        )
        assert not answer.choices[0].message.tool_calls
        assert "tool_call" not in answer.choices[0].message.content


def test_a_json_schema_is_honoured(client: OpenAI) -> None:
    schema = {"type": "object", "properties": {"a": {"enum": ["x", "y"]}}, "required": ["a"]}
    schema["additionalProperties"] = False  # type: ignore[assignment]
    form: Any = {"type": "json_schema", "json_schema": {"name": "it", "schema": schema}}
    answer = client.chat.completions.create(
        model="default", messages=USER, max_tokens=60, response_format=form
    )
    assert json.loads(answer.choices[0].message.content or "")["a"] in ("x", "y")


def test_stop_texts_are_trimmed_wherever_tokens_break(client: OpenAI) -> None:
    fields: Any = {"model": "default", "messages": USER, "max_tokens": 40}
    text = client.chat.completions.create(**fields).choices[0].message.content or ""
    for at in range(2, len(text) - 3, 3):
        stop = text[at : at + 3]
        stopped = client.chat.completions.create(**fields, stop=[stop, "never this"]).choices[0]
        assert stopped.finish_reason == "stop"
        assert stopped.message.content == (text[: text.find(stop)] or None)
        chunks = client.chat.completions.create(**fields, stop=stop, stream=True)
        streamed = "".join(c.choices[0].delta.content or "" for c in chunks)
        assert streamed == (stopped.message.content or "")


def test_models_health_and_unknown_paths(client: OpenAI, endpoint: LocalEndpoint) -> None:
    (model,) = client.models.list()
    assert model.id == endpoint.model
    entry = json.loads(get(endpoint, f"/v1/models/{model.id}"))
    assert entry["weights"] == endpoint.wait_ready() and entry["context_window"] == 100_000
    assert json.loads(get(endpoint, "/health")) == {"status": "ok"}
    with pytest.raises(openai.NotFoundError):
        client.models.retrieve("another")


@pytest.mark.parametrize("name", ["gpt-4", "/etc", "mlx-community/x", "http://x/y", "../other"])
def test_no_model_named_by_a_request_is_loaded(client: OpenAI, name: str) -> None:
    with pytest.raises(openai.NotFoundError) as caught:
        client.chat.completions.create(model=name, messages=USER)
    assert caught.value.code == "model_not_found"


def test_adapters_named_by_a_request_are_ignored(client: OpenAI) -> None:
    extra: Any = {"adapters": "/tmp/evil", "adapter": "x", "draft_model": "y/z"}
    client.chat.completions.create(model="default", messages=USER, max_tokens=1, extra_body=extra)


def test_a_prompt_too_long_names_both_numbers(client: OpenAI) -> None:
    long: Any = [{"role": "user", "content": "\x01" * 100_001}]
    with pytest.raises(openai.BadRequestError) as caught:
        client.chat.completions.create(model="default", messages=long)
    assert caught.value.code == "context_length_exceeded"
    assert "100004" in caught.value.message and "100000" in caught.value.message


@pytest.mark.parametrize(
    "fields",
    [
        {"messages": []},
        {"messages": [{"role": "user"}]},
        {"messages": [{"role": "robot", "content": "x"}]},
        {"messages": [{"role": "user", "content": [{"type": "image_url", "image_url": {}}]}]},
        {"temperature": -1},
        {"temperature": "hot"},
        {"top_p": 2},
        {"max_tokens": 0},
        {"max_tokens": 1.5},
        {"n": 2},
        {"stop": [1]},
        {"logprobs": True},
        {"logit_bias": {"999999": 1}},
        {"logit_bias": {"-1": 1}},
        {"logit_bias": {"x": 1}},
        {"logit_bias": {"²": 1}},
        {"tool_choice": "required"},
        {"tool_choice": {"type": "function", "function": {"name": "ghost"}}, "tools": [GREP]},
        {"tools": [GREP, GREP]},
        {"tools": [{"type": "function", "function": {"name": "a b"}}]},
        {"tools": [{"type": "function", "function": {"name": "a", "parameters": {"type": 1}}}]},
        {"response_format": {"type": "json_schema"}},
    ],
)
def test_what_is_wrong_is_said(client: OpenAI, fields: dict[str, Any]) -> None:
    with pytest.raises(openai.BadRequestError) as caught:
        client.post("/chat/completions", body={**ask(), **fields}, cast_to=object)
    assert caught.value.type == "invalid_request_error"


def test_null_means_absent(client: OpenAI) -> None:
    sampling = ["temperature", "max_tokens", "stop", "seed", "n", "top_p", "logit_bias"]
    others = ["tools", "tool_choice", "stream", "response_format", "stream_options"]
    nothing = dict.fromkeys([*sampling, *others, "parallel_tool_calls"])
    body = {**ask(), **nothing, "max_completion_tokens": 2}
    client.post("/chat/completions", body=body, cast_to=object)


@pytest.mark.parametrize("stream", [True, False])
def test_a_closed_connection_ends_generation(endpoint: LocalEndpoint, stream: bool) -> None:
    cancelled = metric(endpoint, "generations_cancelled_total")
    bias = {"345": -100, "344": -100, "343": -100, "342": -100, "341": -100, "340": -100}
    body = json.dumps(ask(stream=stream, max_tokens=90_000, logit_bias=bias)).encode()
    connection = send(endpoint, body)
    if stream:
        assert b"200 OK" in connection.recv(4096)
    until(lambda: metric(endpoint, "running") > 0)
    connection.close()
    until(lambda: metric(endpoint, "generations_cancelled_total") == cancelled + 1)
    assert metric(endpoint, "running") == 0


def send(endpoint: LocalEndpoint, body: bytes) -> socket.socket:
    address = urlsplit(endpoint.base_url)
    assert address.hostname is not None and address.port is not None
    connection = socket.create_connection((address.hostname, address.port), timeout=60)
    head = (
        "POST /v1/chat/completions HTTP/1.1\r\nHost: localhost\r\n"
        f"Authorization: Bearer {endpoint.token}\r\n"
        f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    connection.sendall(head.encode() + body)
    return connection


def until(condition: Callable[[], bool], asks: int = 20_000) -> None:
    """Every look is a request to the server, so waiting is bounded by its answers."""
    assert any(condition() for _ in range(asks))


def test_many_at_once_are_all_answered(client: OpenAI, endpoint: LocalEndpoint) -> None:
    def one(number: int) -> str | None:
        answer = client.chat.completions.create(
            model="default",
            messages=[{"role": "user", "content": f"question {number}"}],
            max_tokens=20,
        )
        return answer.choices[0].message.content

    alone = [one(number) for number in range(12)]
    with ThreadPoolExecutor(12) as pool:
        together = list(pool.map(one, range(12)))
    assert together == alone
