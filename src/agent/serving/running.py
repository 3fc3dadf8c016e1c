"""An endpoint on a socket: shared by `agent serve`, the in-process one and the background one."""

import contextlib
import ipaddress
import socket
from collections.abc import Callable
from typing import Any

from agent.serving import weights
from agent.serving.blas import use_fast_blas
from agent.serving.engine import Engine


class BindError(Exception):
    """An address that cannot be served on; the message is one sentence that says what to do."""


def bind(host: str, port: int) -> socket.socket:
    """A listening socket; port 0 takes any free one. Raises BindError."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
        listener.listen(128)
    except (OSError, OverflowError) as error:
        listener.close()
        raise BindError(f"cannot listen on {host}:{port}: {error}; choose another --port") from None
    return listener


def base_url(listener: socket.socket) -> str:
    host, port = listener.getsockname()[:2]
    with contextlib.suppress(ValueError):
        host = f"[{host}]" if ipaddress.ip_address(host).version == 6 else host
    return f"http://{host}:{port}/v1"


def start_engine(ref: str, adapter: str | None) -> Engine:
    """An engine that is loading `ref`. Raises LoadError for what cannot be a model."""
    weights.check(ref, adapter)
    use_fast_blas()
    return Engine(lambda: weights.load(ref, adapter))


def make_server(
    engine: Engine,
    host: str,
    token: str | None,
    activity: Callable[[int], None] = lambda change: None,
) -> Any:
    """A uvicorn server for `engine`; run it with `run(sockets=[listener])`."""
    import uvicorn

    from agent.serving.app import build

    app: Any = build(engine, host, token, activity)
    config = uvicorn.Config(
        app,
        log_config=None,
        log_level="warning",
        access_log=False,
        lifespan="off",
        server_header=False,
        timeout_keep_alive=30,
        timeout_graceful_shutdown=1,
    )
    return uvicorn.Server(config)
