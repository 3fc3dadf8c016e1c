"""A real HTTP server that behaves as a script says: well, or as small local models misbehave.

    with ScriptedEndpoint([call("grep", pattern="x"), text("It is in a.py.")]) as endpoint:
        ...  # endpoint.base_url; endpoint.requests holds the bodies it got

A script is a list of behaviours, one for each request; the last one repeats for ever.
"""

import itertools
import json
import threading
from collections.abc import Callable, Iterator, Sequence
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any

Behaviour = Callable[["Handler"], None]
MODEL = "scripted"
_ids = itertools.count(1)


class Handler(BaseHTTPRequestHandler):
    """One connection; `server` is the endpoint's."""

    server: "_Server"
    protocol_version = "HTTP/1.1"

    def log_message(self, format: str, *args: Any) -> None:
        pass

    def do_GET(self) -> None:
        if self.server.models_page is not None:
            self.reply(200, self.server.models_page, "text/html")
        else:
            entries = [{"id": name, **self.server.model_fields} for name in self.server.models]
            listing = {"object": "list", "data": entries}
            self.reply(200, json.dumps(listing))

    def do_POST(self) -> None:
        raw = self.rfile.read(int(self.headers["Content-Length"]))
        behaviour = self.server.next_behaviour(raw, dict(self.headers))
        try:
            behaviour(self)
        except (BrokenPipeError, ConnectionResetError):
            self.close_connection = True

    def reply(self, status: int, body: str, kind: str = "application/json", **headers: str) -> None:
        data = body.encode()
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(data)))
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()
        self.wfile.write(data)

    def begin_stream(self) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.send_header("Connection", "close")
        self.end_headers()
        self.close_connection = True

    def chunk(self, delta: dict[str, Any], finish: str | None = None) -> None:
        choice = {"index": 0, "delta": delta, "finish_reason": finish}
        self.data({"choices": [choice]})

    def data(self, fields: dict[str, Any]) -> None:
        row = {
            "id": "x",
            "object": "chat.completion.chunk",
            "created": 1,
            "model": MODEL,
            "system_fingerprint": "fp-scripted",
            **fields,
        }
        self.wfile.write(f"data: {json.dumps(row)}\n\n".encode())
        self.wfile.flush()

    def end_stream(self, prompt_tokens: int | None) -> None:
        if prompt_tokens is not None:
            usage = {
                "prompt_tokens": prompt_tokens,
                "completion_tokens": 5,
                "total_tokens": prompt_tokens + 5,
            }
            self.data({"choices": [], "usage": usage})
        self.wfile.write(b"data: [DONE]\n\n")


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, script: Sequence[Behaviour]) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.script = list(script)
        self.models = [MODEL]
        self.model_fields: dict[str, Any] = {}
        self.models_page: str | None = None
        self.bodies: list[bytes] = []
        self.headers: list[dict[str, str]] = []
        self.released = threading.Event()
        self.asked = threading.Event()
        self.lock = threading.Lock()

    def next_behaviour(self, raw: bytes, headers: dict[str, str]) -> Behaviour:
        with self.lock:
            index = min(len(self.bodies), len(self.script) - 1)
            self.bodies.append(raw)
            self.headers.append(headers)
        self.asked.set()
        return self.script[index]


class ScriptedEndpoint:
    """The server; a context manager."""

    def __init__(self, script: Sequence[Behaviour], models: Sequence[str] = (MODEL,)) -> None:
        self.server = _Server(script)
        self.server.models = list(models)
        self.base_url = f"http://127.0.0.1:{self.server.server_address[1]}/v1"

    @property
    def bodies(self) -> list[bytes]:
        """The request bodies as they came."""
        return self.server.bodies

    @property
    def requests(self) -> list[dict[str, Any]]:
        """The request bodies, parsed."""
        return [json.loads(body) for body in self.server.bodies]

    def __enter__(self) -> "ScriptedEndpoint":
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.server.released.set()
        self.server.shutdown()
        self.server.server_close()


def text(
    content: str, *, finish: str | None = "stop", prompt_tokens: int | None = None, size: int = 7
) -> Behaviour:
    """Answer with a text, streamed in pieces of `size` characters."""

    def behave(handler: Handler) -> None:
        handler.begin_stream()
        for piece in _pieces(content, size):
            handler.chunk({"role": "assistant", "content": piece})
        handler.chunk({}, finish)
        handler.end_stream(prompt_tokens)

    return behave


def call(name: str, *, prompt_tokens: int | None = None, **arguments: Any) -> Behaviour:
    """Call a tool."""
    return raw_call(name, json.dumps(arguments), prompt_tokens=prompt_tokens)


def raw_call(name: str, arguments: str, *, prompt_tokens: int | None = None) -> Behaviour:
    """Call a tool with arguments that need not be JSON."""
    return calls((name, arguments), prompt_tokens=prompt_tokens)


def calls(*wanted: tuple[str, str], prompt_tokens: int | None = None) -> Behaviour:
    """Call several tools in one answer."""

    def behave(handler: Handler) -> None:
        handler.begin_stream()
        for index, (name, arguments) in enumerate(wanted):
            function = {"name": name, "arguments": arguments}
            entry = {
                "index": index,
                "id": f"call_{next(_ids)}",
                "type": "function",
                "function": function,
            }
            handler.chunk({"role": "assistant", "tool_calls": [entry]})
        handler.chunk({}, "tool_calls")
        handler.end_stream(prompt_tokens)

    return behave


def cut(content: str) -> Behaviour:
    """Begin an answer and drop the connection."""

    def behave(handler: Handler) -> None:
        handler.begin_stream()
        for piece in _pieces(content, 7):
            handler.chunk({"role": "assistant", "content": piece})
        handler.connection.close()

    return behave


def cut_call(name: str, arguments: str) -> Behaviour:
    """Begin a tool call and drop the connection."""

    def behave(handler: Handler) -> None:
        handler.begin_stream()
        function = {"name": name, "arguments": arguments}
        entry = {"index": 0, "id": "call_cut", "type": "function", "function": function}
        handler.chunk({"role": "assistant", "tool_calls": [entry]})
        handler.connection.close()

    return behave


def status(code: int, message: str = "", **headers: str) -> Behaviour:
    """Answer with an HTTP error."""
    body = json.dumps({"error": {"message": message}})
    return lambda handler: handler.reply(code, body, **headers)


def html(code: int = 200) -> Behaviour:
    """Answer with a web page."""
    return lambda handler: handler.reply(code, "<html><body>Welcome</body></html>", "text/html")


def hang() -> Behaviour:
    """Accept the request and never answer."""
    return lambda handler: _wait(handler)


def stall(content: str) -> Behaviour:
    """Begin an answer and fall silent."""

    def behave(handler: Handler) -> None:
        handler.begin_stream()
        handler.chunk({"role": "assistant", "content": content})
        _wait(handler)

    return behave


def _wait(handler: Handler) -> None:
    handler.server.released.wait()
    handler.close_connection = True


def _pieces(content: str, size: int) -> Iterator[str]:
    for start in range(0, len(content), size):
        yield content[start : start + size]
