"""The endpoint inside the caller's own process: nothing is left behind when it ends."""

from dataclasses import dataclass


@dataclass(frozen=True)
class LocalEndpoint:
    """A running endpoint: `base_url` (ends in /v1), the bearer `token`, the `model` id to ask for."""

    base_url: str
    token: str
    model: str

    def close(self) -> None:
        """Stop serving and free the port; safe to call twice."""
        raise NotImplementedError

    def wait_ready(self) -> None:
        """Block until the weights are loaded. Raises LoadError when they cannot be."""
        raise NotImplementedError


def start(ref: str = "embedded", adapter: str | None = None) -> LocalEndpoint:
    """Serve `ref` on 127.0.0.1, any free port, under a random token.

    Returns at once, with the socket listening; the weights load meanwhile and requests wait for
    them. Raises LoadError at once for a reference that cannot be a model.
    """
    raise NotImplementedError
