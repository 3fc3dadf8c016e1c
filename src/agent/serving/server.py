"""`agent serve`: the endpoint in the foreground."""


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
    raise NotImplementedError
