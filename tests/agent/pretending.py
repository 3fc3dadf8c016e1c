"""A scripted endpoint that passes every check of the doctor, but for the flaw it is given."""

import json
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from agent.connect import Endpoint
from agent.doctor.examine import of_endpoint
from agent.doctor.finding import Finding
from agent.settings import Settings
from tests.scripted_endpoint import MODEL, Behaviour, Handler, ScriptedEndpoint

WINDOW = 2048
WEIGHTS = "sha256:" + "a" * 64
ANSWER = "A unit test checks one small piece of a program on its own, without all the rest."
FOUND = "Basket is defined in src/basket.py, line 1."

Body = dict[str, Any]


@dataclass
class Said:
    """An answer before it goes over the wire."""

    text: str = ""
    calls: list[dict[str, Any]] = field(default_factory=list)
    finish: str = "stop"
    usage: dict[str, Any] | None = None
    weights: str | None = WEIGHTS


Flaw = Callable[[Body, Said], Said]


def endpoint(flaw: Flaw = lambda body, said: said, behaviour: Behaviour | None = None,
             page: Body | None = None) -> ScriptedEndpoint:  # fmt: skip
    """`flaw` changes the right answer; `behaviour` may take the request over and raise Passed."""
    server = ScriptedEndpoint([lambda handler: _answer(handler, flaw, behaviour)])
    entry = {"id": MODEL, "context_window": WINDOW, "weights": WEIGHTS, **(page or {})}
    server.server.models_page = json.dumps({"object": "list", "data": [entry]})
    return server


class Passed(Exception):
    """The behaviour leaves this request to the right answer."""


def _answer(handler: Handler, flaw: Flaw, behaviour: Behaviour | None) -> None:
    body = json.loads(handler.server.bodies[-1])
    if behaviour is not None:
        try:
            behaviour(handler)
        except Passed:
            pass
        else:
            return
    right = _right(handler, body)
    if right is None:
        message = f"the context window of this model is {WINDOW} tokens"
        handler.reply(400, json.dumps({"error": {"message": message}}))
        return
    said = flaw(body, right)
    _streamed(handler, said) if body.get("stream") else _whole(handler, said)


def words(body: Body) -> list[str]:
    """The prompt's tokens, as this server counts them."""
    texts = (str(m["content"] or "") + json.dumps(m.get("tool_calls")) for m in body["messages"])
    return re.findall(r"\w+", " ".join(texts))


def findings(base_url: str, model: str = MODEL, **settings: Any) -> dict[str, Finding]:
    """What the doctor finds at an endpoint, by the names of the checks."""
    wanted = Settings(**{"timeout": 30.0, **settings})
    found = list(of_endpoint(wanted, Endpoint(base_url, model, "none")))
    assert len({f.name for f in found}) == len(found)
    assert all(f.finding and f.advice and "\n" not in f.finding for f in found)
    return {f.name: f for f in found}


def _right(handler: Handler, body: Body) -> Said | None:
    """What a good server says; None: it refuses, because the prompt is too long."""
    prompt = words(body)
    if len(prompt) > WINDOW:
        return None
    said = _content(body)
    for stop in body.get("stop") or []:
        said.text = said.text.partition(stop)[0]
    if not said.calls:
        pieces = re.findall(r"\S+\s*", said.text)
        if len(pieces) > body["max_tokens"]:
            said.text, said.finish = "".join(pieces[: body["max_tokens"]]), "length"
    before = words(json.loads(handler.server.bodies[-2])) if len(handler.server.bodies) > 1 else []
    shared = next((i for i, (a, b) in enumerate(zip(prompt, before, strict=False)) if a != b),
                  min(len(prompt), len(before)))  # fmt: skip
    said.usage = {
        "prompt_tokens": len(prompt),
        "completion_tokens": len(said.text.split()) or 5,
        "prompt_tokens_details": {"cached_tokens": shared},
    }
    return said


def _content(body: Body) -> Said:
    choice = body.get("tool_choice", "auto")
    last = body["messages"][-1]
    if body.get("tools") and last["role"] == "user" and choice != "none":
        if isinstance(choice, dict):
            return calling(choice["function"]["name"], path="a.py")
        if choice == "required" or "Where" in last["content"]:
            return calling("grep", pattern="class Basket")
    if last["role"] == "tool":
        return Said(FOUND)
    return Said(ANSWER)


def calling(name: str, **arguments: str) -> Said:
    """A tool call."""
    return raw_calling(name, json.dumps(arguments))


def raw_calling(name: str, arguments: str) -> Said:
    """A tool call whose arguments need not be JSON."""
    function = {"name": name, "arguments": arguments}
    return Said(calls=[{"id": "call_1", "type": "function", "function": function}],
                finish="tool_calls")  # fmt: skip


def _fields(said: Said) -> Body:
    return {"model": MODEL, "system_fingerprint": said.weights}


def _streamed(handler: Handler, said: Said) -> None:
    handler.begin_stream()
    for piece in re.findall(r".{1,7}", said.text, re.DOTALL):
        _chunk(handler, said, {"content": piece})
    for index, call in enumerate(said.calls):
        _chunk(handler, said, {"tool_calls": [{"index": index, **call}]})
    _chunk(handler, said, {}, said.finish)
    if said.usage is not None:
        handler.data({"choices": [], "usage": said.usage, **_fields(said)})
    handler.wfile.write(b"data: [DONE]\n\n")


def _chunk(handler: Handler, said: Said, delta: Body, finish: str | None = None) -> None:
    choice = {"index": 0, "delta": delta, "finish_reason": finish}
    handler.data({"choices": [choice], **_fields(said)})


def _whole(handler: Handler, said: Said) -> None:
    message = {"role": "assistant", "content": said.text or None, "tool_calls": said.calls}
    choice = {"index": 0, "message": message, "finish_reason": said.finish}
    handler.reply(200, json.dumps({"choices": [choice], "usage": said.usage, **_fields(said)}))
