"""`agent serve`: the endpoint in the foreground."""

import sys

from agent.serving.running import BindError, base_url, bind, make_server, start_engine
from agent.serving.security import is_loopback


def serve(
    ref: str = "embedded",
    adapter: str | None = None,
    host: str = "127.0.0.1",
    port: int = 8080,
    token: str | None = None,
) -> None:
    """Serve until interrupted. `ref`: "embedded", a folder, or a Hugging Face id.

    Raises LoadError (no such model) and BindError (port taken; not loopback without a token).
    """
    if not is_loopback(host) and not token:
        raise BindError(f"{host} is reachable from elsewhere: serving there needs --token")
    listener = bind(host, port)
    engine = start_engine(ref, adapter)
    try:
        served = engine.wait_ready()
        print(
            f"serving {served.identity.id} ({served.identity.weights}) at {base_url(listener)}",
            file=sys.stderr,
        )
        make_server(engine, host, token).run(sockets=[listener])
    except KeyboardInterrupt:
        pass
    finally:
        listener.close()
        engine.close()
