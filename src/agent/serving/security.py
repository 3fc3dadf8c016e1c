"""Who may talk to the endpoint: checked before anything else is read."""

import hmac
import ipaddress
import socket
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any
from urllib.parse import urlsplit

from starlette.responses import JSONResponse

from agent.serving.errors import ApiError

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
AsgiApp = Callable[[Scope, Receive, Send], Awaitable[None]]

LOOPBACK = {"localhost", "127.0.0.1", "::1"}
MAX_BODY = 8 * 1024 * 1024


def is_loopback(host: str) -> bool:
    return host in LOOPBACK or host.startswith("127.")


class Guard:
    """ASGI middleware: Host, Origin, token, content type and size of the body.

    A page in the user's browser can send requests to localhost, and a hostile name can be made
    to resolve to it: therefore a foreign Host or Origin is refused, token or not.
    """

    def __init__(
        self, app: AsgiApp, host: str, token: str | None, max_body: int = MAX_BODY
    ) -> None:
        self._app = app
        self._host = host.strip("[]").lower()
        self._token = token
        self._max_body = max_body

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        try:
            self._check(scope)
            receive = self._limited(receive)
            await self._app(scope, receive, send)
        except ApiError as error:
            await JSONResponse(error.body(), error.status)(scope, receive, send)

    def _check(self, scope: Scope) -> None:
        headers = _headers(scope)
        host = _hostname(headers.get("host", ""))
        if not self._is_our_name(host):
            raise ApiError(403, f"foreign Host header: {host or 'none'}", code="foreign_host")
        origin = headers.get("origin")
        if origin is not None and origin.lower() != f"http://{headers['host']}".lower():
            raise ApiError(403, "foreign Origin header", code="foreign_origin")
        if self._token is not None and scope["path"] != "/health":
            given = headers.get("authorization", "")
            if not hmac.compare_digest(given.encode(), f"Bearer {self._token}".encode()):
                raise ApiError(401, "wrong or missing bearer token", code="invalid_api_key")
        if scope["method"] == "POST":
            kind = headers.get("content-type", "").partition(";")[0].strip().lower()
            if kind != "application/json":
                raise ApiError(415, "the content type must be application/json")
            size = headers.get("content-length", "0")
            if not size.isdecimal() or int(size[:20]) > self._max_body:
                raise ApiError(413, f"the body may have at most {self._max_body} bytes")

    def _is_our_name(self, host: str) -> bool:
        if is_loopback(host) or host == self._host:
            return True
        if self._host not in ("0.0.0.0", "::", ""):
            return False
        return _is_address(host) or host in (socket.gethostname().lower(), socket.getfqdn().lower())

    def _limited(self, receive: Receive) -> Receive:
        """Counts bytes as they come: a chunked body does not announce its size."""
        seen = 0

        async def limited() -> Message:
            nonlocal seen
            message = await receive()
            seen += len(message.get("body", b""))
            if seen > self._max_body:
                raise ApiError(413, f"the body may have at most {self._max_body} bytes")
            return message

        return limited


def _headers(scope: Scope) -> dict[str, str]:
    """Header values by lower-case name; a repeated one is refused rather than guessed."""
    headers: dict[str, str] = {}
    for name, value in scope["headers"]:
        key = name.decode("latin-1").lower()
        if key in headers and key in ("host", "origin", "authorization", "content-type"):
            raise ApiError(400, f"repeated header: {key}")
        headers[key] = value.decode("latin-1")
    return headers


def _hostname(host: str) -> str:
    try:
        return urlsplit(f"//{host}").hostname or ""
    except ValueError:
        return ""


def _is_address(host: str) -> bool:
    """A literal address cannot be rebound by DNS."""
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True
