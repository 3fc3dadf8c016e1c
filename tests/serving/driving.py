"""Ways to drive the serving code without HTTP."""

import asyncio
import json
import queue
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from agent.serving import intake
from agent.serving.engine import Engine, Event, Failed, Finished, Job
from agent.serving.grammar import Grammars
from agent.serving.schema import ChatRequest
from agent.serving.security import AsgiApp, Message
from agent.serving.transcript import Text


def function(name: str, **properties: Any) -> dict[str, Any]:
    """A tool of the wire; every property is required."""
    parameters = {
        "type": "object",
        "properties": properties,
        "required": list(properties),
    }
    return {"type": "function", "function": {"name": name, "parameters": parameters}}


GREP = function("grep", pattern={"type": "string", "maxLength": 12})
READ = function(
    "read_file",
    path={"enum": ["a.py", "b.py"]},
    start={"type": "integer", "minimum": 1, "maximum": 99},
    whole={"type": "boolean"},
)


def ask(text: str = "where is x", **fields: Any) -> dict[str, Any]:
    """A request's body."""
    return {"model": "default", "messages": [{"role": "user", "content": text}], **fields}


@dataclass(frozen=True)
class Outcome:
    text: str
    end: Finished | Failed


class Driver:
    """Prepares jobs for an engine and collects their events."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        self.served = engine.wait_ready()
        self.grammars = Grammars(self.served.tokenizer, self.served.width)

    def prepare(self, body: dict[str, Any]) -> tuple[Job, "queue.SimpleQueue[Event]"]:
        events: queue.SimpleQueue[Event] = queue.SimpleQueue()
        request = ChatRequest.model_validate(body)
        return intake.prepare(request, self.served, self.grammars, events.put), events

    def run(self, bodies: Sequence[dict[str, Any]]) -> list[Outcome]:
        """Run all of them at once."""
        prepared = [self.prepare(body) for body in bodies]
        for job, _ in prepared:
            self.engine.submit(job)
        return [collect(events) for _, events in prepared]


def collect(events: "queue.SimpleQueue[Event]") -> Outcome:
    text = ""
    while True:
        event = events.get(timeout=120)
        if not isinstance(event, Text):
            return Outcome(text, event)
        text += event.text


@dataclass(frozen=True)
class Reply:
    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


async def post(app: AsgiApp, body: bytes, **headers: str) -> Reply:
    """POST a chat completion to an ASGI app, as a client that waits for the whole answer."""
    sent = {"host": "127.0.0.1", "content-type": "application/json", **headers}
    scope = {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.3"},
        "http_version": "1.1",
        "method": "POST",
        "scheme": "http",
        "path": "/v1/chat/completions",
        "raw_path": b"/v1/chat/completions",
        "query_string": b"",
        "root_path": "",
        "headers": [(k.encode(), v.encode()) for k, v in sent.items()],
        "client": ("127.0.0.1", 1),
        "server": ("127.0.0.1", 80),
    }
    waiting: list[Message] = [{"type": "http.request", "body": body, "more_body": False}]
    messages: list[Message] = []

    async def receive() -> Message:
        if waiting:
            return waiting.pop()
        await asyncio.Event().wait()
        raise AssertionError

    async def send(message: Message) -> None:
        messages.append(message)

    await app(scope, receive, send)
    return Reply(
        messages[0]["status"],
        {k.decode(): v.decode() for k, v in messages[0]["headers"]},
        b"".join(m.get("body", b"") for m in messages[1:]),
    )
