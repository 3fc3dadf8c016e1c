"""A server that ends by itself when nobody has used it for a while."""

import socket
import threading
import time
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any, Protocol

from agent.serving.engine import Engine
from agent.serving.running import make_server


class Registration(Protocol):
    """Where the server is published, and the lock under which others look for it."""

    state: Path

    def looking(self) -> AbstractContextManager[None]: ...


class Idle:
    """Counts what goes on, and how long nothing has."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._active = 0
        self._last = time.monotonic()

    def __call__(self, change: int) -> None:
        with self._lock:
            self._active += change
            self._last = time.monotonic()

    def seconds(self) -> float:
        """Idle seconds so far; 0 while something is going on."""
        with self._lock:
            return 0.0 if self._active else time.monotonic() - self._last


def run_until_idle(
    engine: Engine, listener: socket.socket, token: str, keep_alive: float, place: Registration
) -> None:
    """Serve until a signal, or until `keep_alive` seconds without any request."""
    idle = Idle()
    server = make_server(engine, "127.0.0.1", token, activity=idle)
    stopped = threading.Event()
    watch = threading.Thread(target=_watch, args=(idle, keep_alive, place, server, stopped))
    watch.start()
    try:
        server.run(sockets=[listener])
    finally:
        stopped.set()
        watch.join()


def _watch(
    idle: Idle, keep_alive: float, place: Registration, server: Any, stopped: threading.Event
) -> None:
    while not stopped.wait(max(keep_alive - idle.seconds(), 0.05)):
        if idle.seconds() < keep_alive:
            continue
        with place.looking():
            # Somebody may have found us while we waited for the lock: then we stay.
            if idle.seconds() >= keep_alive:
                place.state.unlink(missing_ok=True)
                server.should_exit = True
                return
