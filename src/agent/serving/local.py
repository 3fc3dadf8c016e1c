"""The endpoint inside the caller's own process: nothing is left behind when it ends."""

import secrets
import threading
from dataclasses import dataclass, field
from typing import Any

from agent.serving import weights
from agent.serving.engine import Engine
from agent.serving.running import base_url, bind, start_engine

HOST = "127.0.0.1"


@dataclass(frozen=True)
class LocalEndpoint:
    """A running endpoint: its address (ends in /v1), bearer token, and the model id to ask for."""

    base_url: str
    token: str
    model: str
    engine: Engine = field(repr=False)
    _thread: "ServerThread" = field(repr=False)

    def close(self) -> None:
        """Stop serving and free the port; safe to call twice."""
        self._thread.stop()
        self.engine.close()

    def wait_ready(self) -> str:
        """Block until the weights are loaded; returns their hash. Raises LoadError."""
        return self.engine.wait_ready().identity.weights


def start(ref: str = "embedded", adapter: str | None = None) -> LocalEndpoint:
    """Serve `ref` on 127.0.0.1, any free port, under a random token.

    Returns at once, with the socket listening; the weights load meanwhile and requests wait for
    them. Raises LoadError at once for a reference that cannot be a model.
    """
    engine = start_engine(ref, adapter)
    token = secrets.token_urlsafe(32)
    thread = ServerThread(engine, token)
    thread.start()
    return LocalEndpoint(thread.base_url, token, weights.model_id(ref, adapter), engine, thread)


class ServerThread(threading.Thread):
    """uvicorn in a thread, its imports too, so that starting costs the caller little."""

    def __init__(self, engine: Engine, token: str) -> None:
        super().__init__(name="agent-endpoint", daemon=True)
        self._engine = engine
        self._token = token
        self._listener = bind(HOST, 0)
        self._server: Any = None
        self._stopping = False
        self._made = threading.Lock()
        self.base_url = base_url(self._listener)

    def run(self) -> None:
        from agent.serving.running import make_server

        with self._made:
            if self._stopping:
                return
            self._server = make_server(self._engine, HOST, self._token)
        self._server.run(sockets=[self._listener])

    def stop(self) -> None:
        with self._made:
            self._stopping = True
            if self._server is not None:
                self._server.should_exit = True
        self.join()
        self._listener.close()
