"""HTTP to the endpoint: bounded, jittered retries before anything was answered, and timeouts.

The equivalent of PydanticAI's `AsyncHTTPX2TenacityTransport`, whose import needs the legacy httpx
package; tenacity itself is imported on the first failure only.
"""

import asyncio
import random
import ssl
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import httpx2

if TYPE_CHECKING:
    from tenacity import RetryCallState

RETRIED = frozenset({429, 502, 503, 504})
_LONGEST_WAIT = 10.0


class RetryTransport(httpx2.AsyncBaseTransport):
    """Repeats a request that was refused or not accepted, never one that began to be answered."""

    def __init__(self, wrapped: httpx2.AsyncBaseTransport, retries: int) -> None:
        self._wrapped = wrapped
        self._retries = retries

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        """Send a request; up to `retries` new attempts after 429, 502, 503, 504 or no connection.

        Raises:
            httpx2.TransportError: the last attempt did not get through.
        """
        try:
            response = await self._wrapped.handle_async_request(request)
        except httpx2.ConnectError:
            if not self._retries:
                raise
        else:
            if response.status_code not in RETRIED or not self._retries:
                return response
            await response.aclose()
        return await _again(self._wrapped.handle_async_request, request, self._retries)

    async def aclose(self) -> None:
        await self._wrapped.aclose()


async def _again(
    send: Callable[[httpx2.Request], Awaitable[httpx2.Response]],
    request: httpx2.Request,
    attempts: int,
) -> httpx2.Response:
    import tenacity

    backoff = tenacity.wait_random_exponential(multiplier=0.5, max=_LONGEST_WAIT)

    def wait(state: "RetryCallState") -> float:
        outcome = state.outcome
        if outcome is not None and not outcome.failed:
            asked = outcome.result().headers.get("retry-after", "")
            if asked.isdigit():
                return min(float(asked), _LONGEST_WAIT)
        return float(backoff(state))

    async def discard(state: "RetryCallState") -> None:
        if state.outcome is not None and not state.outcome.failed:
            await state.outcome.result().aclose()

    await asyncio.sleep(random.uniform(0, 0.5))
    retrying = tenacity.AsyncRetrying(
        stop=tenacity.stop_after_attempt(attempts),
        wait=wait,
        retry=tenacity.retry_if_exception_type(httpx2.ConnectError)
        | tenacity.retry_if_result(lambda response: response.status_code in RETRIED),
        before_sleep=discard,
        retry_error_callback=lambda state: state.outcome.result() if state.outcome else None,
    )
    response: httpx2.Response = await retrying(send, request)
    return response


@dataclass
class Stopwatch:
    """Seconds spent waiting for the endpoint, and until the first byte of its first answer."""

    waited: float = 0.0
    first_byte: float | None = None


class TimedTransport(httpx2.AsyncBaseTransport):
    """Measures how long the endpoint lets us wait, for an answer and for each piece of it."""

    def __init__(self, wrapped: httpx2.AsyncBaseTransport, stopwatch: Stopwatch) -> None:
        self._wrapped = wrapped
        self._stopwatch = stopwatch

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        begun = time.perf_counter()
        try:
            response = await self._wrapped.handle_async_request(request)
        finally:
            self._stopwatch.waited += time.perf_counter() - begun
        assert isinstance(response.stream, httpx2.AsyncByteStream)
        response.stream = _TimedStream(response.stream, self._stopwatch, begun)
        return response

    async def aclose(self) -> None:
        await self._wrapped.aclose()


class _TimedStream(httpx2.AsyncByteStream):
    # An iterator and no generator: one that is left early would keep its connection open.
    def __init__(self, wrapped: httpx2.AsyncByteStream, stopwatch: Stopwatch, asked: float) -> None:
        self._wrapped = wrapped
        self._stopwatch = stopwatch
        self._asked = asked
        self._pieces: AsyncIterator[bytes] | None = None

    def __aiter__(self) -> AsyncIterator[bytes]:
        self._pieces = aiter(self._wrapped)
        return self

    async def __anext__(self) -> bytes:
        assert self._pieces is not None
        begun = time.perf_counter()
        try:
            piece = await anext(self._pieces)
        finally:
            now = time.perf_counter()
            self._stopwatch.waited += now - begun
        if self._stopwatch.first_byte is None:
            self._stopwatch.first_byte = now - self._asked
        return piece

    async def aclose(self) -> None:
        self._pieces = None
        await self._wrapped.aclose()


def client(
    base_url: str,
    retries: int,
    timeout: float,
    connect_timeout: float,
    stopwatch: Stopwatch | None = None,
) -> httpx2.AsyncClient:
    """An HTTP client for one endpoint: no proxy of the environment, no redirects.

    `stopwatch`: where it says how long the endpoint lets us wait.
    """
    # Loading the certificate store costs time that a plain http endpoint need not pay.
    plain = base_url.startswith("http://")
    verify = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT) if plain else httpx2.create_ssl_context()
    transport: httpx2.AsyncBaseTransport = RetryTransport(
        httpx2.AsyncHTTPTransport(verify=verify), retries
    )
    if stopwatch is not None:
        transport = TimedTransport(transport, stopwatch)
    limits = httpx2.Timeout(timeout, connect=connect_timeout)
    return httpx2.AsyncClient(transport=transport, timeout=limits, follow_redirects=False)
