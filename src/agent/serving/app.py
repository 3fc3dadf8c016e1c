"""The HTTP face: OpenAI's paths on one engine."""

import asyncio
import math
import threading
import time
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Iterator
from functools import partial
from itertools import groupby
from typing import Any, TypeVar

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response, StreamingResponse
from starlette.routing import Route

from agent.serving import intake
from agent.serving.engine import Engine, Event, Failed, Finished, Job
from agent.serving.errors import ApiError
from agent.serving.grammar import Grammars
from agent.serving.replies import DONE, Replies, sse, tool_calls
from agent.serving.schema import ChatRequest
from agent.serving.security import AsgiApp, Guard, Message, Receive, Scope, Send
from agent.serving.transcript import Text
from agent.serving.weights import LoadError, Served

Result = TypeVar("Result")

FRAME_SECONDS = 0.03
"""The least time between two pieces of a stream: nobody reads faster. Of several streams at once
each waits longer, so that many readers cost generation no more than one."""

Activity = Callable[[int], None]
"""Told +1 when a generation begins, -1 when it ends, 0 for any other request."""


class Endpoint:
    """The handlers."""

    def __init__(self, engine: Engine, activity: Activity) -> None:
        self._engine = engine
        self._activity = activity
        self._grammars: Grammars | None = None
        self._making_grammars = threading.Lock()

    async def chat(self, request: Request) -> Response:
        served = await self._served()
        body = await request.body()
        events: asyncio.Queue[Event] = asyncio.Queue()
        loop = asyncio.get_running_loop()
        asked, job = await asyncio.to_thread(self._prepare, body, served, events, loop)
        answer = Answer(job, events, Replies(served.identity), asked)
        self._activity(+1)
        self._engine.submit(job)
        try:
            first = await _unless_gone(request, events.get()) if asked.stream else None
            if first is not None:
                answer.fail_early(first)
                return EventStream(answer, first, done=partial(self._activity, -1))
            reply = await _unless_gone(request, answer.whole())
        except BaseException:
            job.cancel()
            self._activity(-1)
            raise
        self._activity(-1)
        return JSONResponse(reply)

    def _prepare(
        self,
        body: bytes,
        served: Served,
        events: asyncio.Queue[Event],
        loop: asyncio.AbstractEventLoop,
    ) -> tuple[ChatRequest, Job]:
        asked = intake.read(body)
        self._check_model(asked.model, served)
        with self._making_grammars:
            self._grammars = self._grammars or Grammars(served.tokenizer, served.width)
        emit = _into(events, loop, bool(asked.stream), self._frame)
        return asked, intake.prepare(asked, served, self._grammars, emit)

    def _frame(self) -> float:
        return FRAME_SECONDS * max(1, self._engine.metrics.running)

    def _check_model(self, name: str, served: Served) -> None:
        """A name is only a label: it never makes anything load."""
        if name not in (served.identity.id, intake.MODEL_ALIAS):
            message = f"no model {name[:200]!r} here, only {served.identity.id!r}"
            raise ApiError(404, message, code="model_not_found", param="model")

    async def models(self, request: Request) -> Response:
        served = await self._served()
        entry = {
            "id": served.identity.id,
            "object": "model",
            "created": 0,
            "owned_by": "agent",
            "weights": served.identity.weights,
            "context_window": served.window,
        }
        name = request.path_params.get("model")
        if name is None:
            return JSONResponse({"object": "list", "data": [entry]})
        self._check_model(name, served)
        return JSONResponse(entry)

    async def health(self, request: Request) -> Response:
        try:
            self._engine.wait_ready(timeout=0)
        except LoadError as error:
            return JSONResponse({"status": "unavailable", "reason": str(error)}, 503)
        return JSONResponse({"status": "ok"})

    async def metrics(self, request: Request) -> Response:
        served = await self._served()
        text = self._engine.metrics.text(served.identity.id, served.identity.weights)
        return PlainTextResponse(text, media_type="text/plain; version=0.0.4")

    async def _served(self) -> Served:
        """The model, once it is loaded: early requests wait."""
        try:
            if self._engine.is_ready:
                return self._engine.wait_ready(timeout=0)
            return await asyncio.to_thread(self._engine.wait_ready)
        except LoadError as error:
            raise ApiError(503, str(error), code="model_unavailable") from error


class Answer:
    """One job's events as a body."""

    def __init__(
        self, job: Job, events: asyncio.Queue[Event], replies: Replies, body: ChatRequest
    ) -> None:
        self._job = job
        self._events = events
        self._replies = replies
        self._with_usage = body.stream_options is not None and body.stream_options.include_usage

    async def whole(self) -> dict[str, Any]:
        said: list[str] = []
        thought: list[str] = []
        while True:
            event = await self._events.get()
            if isinstance(event, Text):
                (thought if event.reasoning else said).append(event.text)
            elif isinstance(event, Failed):
                raise ApiError(500, event.message)
            else:
                return self._replies.completion("".join(said), "".join(thought), event)

    def fail_early(self, first: Event) -> None:
        """An error before anything was sent still gets its own status. Raises ApiError."""
        if isinstance(first, Failed):
            raise ApiError(500, first.message)

    async def stream(self, first: Event) -> AsyncIterator[bytes]:
        yield sse(self._replies.chunk({"role": "assistant", "content": ""}))
        event = first
        while isinstance(event, Text):
            yield sse(self._replies.chunk(_delta(event)))
            event = await self._events.get()
        if isinstance(event, Failed):
            yield sse(dict(ApiError(500, event.message).body()))
            return
        for data in self._end(event):
            yield data

    def cancel(self) -> None:
        """Closing the connection ends generation; after the end this does nothing."""
        self._job.cancel()

    def _end(self, end: Finished) -> list[bytes]:
        calls = tool_calls(end.calls, indexed=True)
        parts = [self._replies.chunk({"tool_calls": [call]}) for call in calls]
        parts.append(self._replies.chunk({}, finish=end.reason))
        if self._with_usage:
            parts.append(self._replies.usage_chunk(end.usage))
        return [*map(sse, parts), DONE]


class EventStream(StreamingResponse):
    """An answer as server-sent events, until it ends or the client goes away."""

    def __init__(self, answer: Answer, first: Event, done: Callable[[], None]) -> None:
        super().__init__(answer.stream(first), media_type="text/event-stream")
        self._answer = answer
        self._done = done

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await super().__call__(scope, receive, send)
        finally:
            self._answer.cancel()
            self._done()


def build(
    engine: Engine, host: str, token: str | None, activity: Activity = lambda change: None
) -> AsgiApp:
    """The ASGI application for an engine, for a server bound to `host`."""
    endpoint = Endpoint(engine, activity)
    app = Starlette(
        routes=[
            Route("/v1/chat/completions", endpoint.chat, methods=["POST"]),
            Route("/v1/models", endpoint.models),
            Route("/v1/models/{model:path}", endpoint.models),
            Route("/health", endpoint.health),
            Route("/metrics", endpoint.metrics),
        ],
        exception_handlers={ApiError: _api_error, HTTPException: _http_error, Exception: _crash},
    )
    return _named(Guard(app, host, token), engine, activity)


def _named(app: AsgiApp, engine: Engine, activity: Activity) -> AsgiApp:
    """Every response says which weights stand behind it, and is counted."""

    async def named(scope: Scope, receive: Receive, send: Send) -> None:
        async def send_named(message: Message) -> None:
            if message["type"] == "http.response.start":
                engine.metrics.responses[message["status"]] += 1
                if engine.served is not None:
                    weights = engine.served.identity.weights.encode()
                    message["headers"] = [*message["headers"], (b"x-agent-weights", weights)]
            await send(message)

        activity(0)
        await app(scope, receive, send_named)

    return named


def _into(
    events: asyncio.Queue[Event],
    loop: asyncio.AbstractEventLoop,
    at_once: bool,
    frame: Callable[[], float],
) -> Callable[[Event], None]:
    """Events of the engine's thread, for the loop: as they come, or all when the answer is over.

    Waking the loop for every token would only slow generation, on both sides of the connection: of
    an answer that is sent whole it is woken at the end, of a stream once a frame. Text that comes
    slower than that waits for nothing.
    """
    held: deque[Event] = deque()
    shown = -math.inf

    def deliver() -> None:
        for event in _joined(held.popleft() for _ in range(len(held))):
            events.put_nowait(event)

    def emit(event: Event) -> None:
        nonlocal shown
        held.append(event)
        now = time.monotonic()
        due = at_once and now - shown >= frame()
        if (due or not isinstance(event, Text)) and not loop.is_closed():
            shown = now
            loop.call_soon_threadsafe(deliver)

    return emit


def _joined(events: Iterable[Event]) -> Iterator[Event]:
    """Neighbouring pieces of text as one."""
    for (is_text, reasoning), group in groupby(
        events, lambda event: (isinstance(event, Text), getattr(event, "reasoning", False))
    ):
        if is_text:
            yield Text("".join(event.text for event in group if isinstance(event, Text)), reasoning)
        else:
            yield from group


async def _unless_gone(request: Request, work: Awaitable[Result]) -> Result:
    """The result of `work`, or cancel it as soon as the client closes the connection."""
    result = asyncio.ensure_future(work)
    gone = asyncio.ensure_future(request.receive())
    try:
        await asyncio.wait([result, gone], return_when=asyncio.FIRST_COMPLETED)
        if not result.done():
            raise ApiError(499, "the client closed the connection")
        return result.result()
    finally:
        result.cancel()
        gone.cancel()


def _delta(event: Text) -> dict[str, str]:
    return {"reasoning_content" if event.reasoning else "content": event.text}


async def _api_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, ApiError)
    return JSONResponse(error.body(), error.status)


async def _http_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    return JSONResponse(ApiError(error.status_code, error.detail).body(), error.status_code)


async def _crash(request: Request, error: Exception) -> Response:
    return JSONResponse(ApiError(500, "internal error; see the log").body(), 500)
