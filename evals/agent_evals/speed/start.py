"""From the start of the process to its first request on the wire."""

import json
import subprocess
import tempfile
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from agent_evals.speed.measure import (
    Line,
    Options,
    SpeedError,
    interleaved,
    output,
    plain_environment,
    python,
    seconds,
)

_BARE = (
    "from pydantic_ai import Agent\n"
    "from pydantic_ai.models.openai import OpenAIChatModel\n"
    "from pydantic_ai.providers.openai import OpenAIProvider\n"
)
_DEADLINE = 300.0

Answer = Callable[[], Iterable[str]]


def _one_word() -> Iterable[str]:
    return ("Yes.",)


class Recorder(ThreadingHTTPServer):
    """An endpoint that notes when a chat request arrives and streams the pieces of `answer()`."""

    daemon_threads = True

    def __init__(self, answer: Answer = _one_word) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.arrived: list[float] = []
        self.answer = answer
        self.url = f"http://127.0.0.1:{self.server_address[1]}/v1"


class _Handler(BaseHTTPRequestHandler):
    server: Recorder

    def log_message(self, format: str, *args: object) -> None:
        pass

    def do_POST(self) -> None:
        self.server.arrived.append(time.perf_counter())
        self.rfile.read(int(self.headers["Content-Length"]))
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.end_headers()
        with suppress(BrokenPipeError, ConnectionResetError):
            for piece in self.server.answer():
                self._chunk({"role": "assistant", "content": piece}, None)
            self._chunk({}, "stop")
            self.wfile.write(b"data: [DONE]\n\n")

    def _chunk(self, delta: dict[str, str], reason: str | None) -> None:
        choice = {"index": 0, "delta": delta, "finish_reason": reason}
        chunk = {"id": "x", "object": "chat.completion.chunk", "created": 1, "model": "x"}
        self.wfile.write(f"data: {json.dumps({**chunk, 'choices': [choice]})}\n\n".encode())
        self.wfile.flush()


@contextmanager
def recording(answer: Answer = _one_word) -> Iterator[Recorder]:
    """A `Recorder` as long as the block lasts."""
    server = Recorder(answer)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield server
    finally:
        server.shutdown()
        server.server_close()


def lines(options: Options) -> list[Line]:
    """Ours against the whole life of a Python that only imports PydanticAI."""
    with recording() as server, tempfile.TemporaryDirectory() as empty:
        ours, rival = interleaved(
            options.repeats,
            lambda: until_request(server, empty),
            lambda: seconds(lambda: output(python("-c", _BARE))),
        )
    return [
        Line("process start to first request", ours, rival, "s", "bare imports", "<=", 1.2),
    ]


def until_request(server: Recorder, directory: str, *more: str) -> float:
    """Seconds from starting `agent ask` to its request at the server; sessions go to `directory`.

    Raises:
        SpeedError: it ends without asking.
    """
    server.arrived.clear()
    flags = ("--base-url", server.url, "--model", "x", "-C", directory, *more)
    begun = time.perf_counter()
    asked = subprocess.run(
        python("-m", "agent", "ask", *flags, "Is it?"),
        env=plain_environment(XDG_CONFIG_HOME=directory, XDG_STATE_HOME=directory),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=_DEADLINE,
    )
    if not server.arrived:
        raise SpeedError(f"agent ask sent no request: {asked.stderr.strip()[-300:]}")
    return server.arrived[0] - begun
