"""Small questions to an endpoint, bounded in size and time."""

import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import httpx2

from agent.connect import Endpoint
from agent.doctor import reply
from agent.doctor.reply import Reply
from agent.settings import Settings

_LARGEST = 2_000_000
Message = Mapping[str, Any]


class Probe:
    """Asks the endpoint as the assistant would, but without its leniency.

    `gone` says that the endpoint does not even take connections any more.
    """

    def __init__(self, endpoint: Endpoint, settings: Settings) -> None:
        self.endpoint = endpoint
        self.settings = settings
        self.gone = False
        self._http = httpx2.Client(
            headers={"Authorization": f"Bearer {endpoint.api_key}"},
            timeout=httpx2.Timeout(settings.timeout, connect=settings.connect_timeout),
            trust_env=False,
        )

    def close(self) -> None:
        self._http.close()

    def get(self, path: str) -> tuple[int, object, str]:
        """(status, parsed JSON or None, why there is no answer or "") of a path below the URL."""
        answer = Reply()
        with self._explained(answer), self._http.stream("GET", self._url(path)) as response:
            body = "".join(self._pieces(response))
            try:
                return response.status_code, reply.parsed(body), ""
            except ValueError:
                return response.status_code, None, ""
        return 0, None, answer.failure

    def ask(
        self,
        said: str | Sequence[Message],
        *,
        stream: bool = True,
        max_tokens: int = 64,
        **more: Any,
    ) -> Reply:
        """Ask a question, or continue a conversation; never raises for what the server does."""
        messages = [{"role": "user", "content": said}] if isinstance(said, str) else list(said)
        body = {
            "model": self.endpoint.model,
            "messages": messages,
            "max_tokens": max_tokens,
            "temperature": 0,
            **more,
        }
        if stream:
            body |= {"stream": True, "stream_options": {"include_usage": True}}
        answer, begun = Reply(), time.monotonic()
        with (
            self._explained(answer),
            self._http.stream("POST", self._url("/chat/completions"), json=body) as response,
        ):
            self._read(response, answer, begun)
        answer.seconds = time.monotonic() - begun
        answer.first = answer.first or answer.seconds
        return answer

    def _read(self, response: httpx2.Response, answer: Reply, begun: float) -> None:
        answer.status = response.status_code
        answer.weights = response.headers.get("x-agent-weights", "")
        pieces = self._pieces(response)
        if response.status_code != 200:
            said = reply.message("".join(pieces))
            answer.failure = f"answers {response.status_code}" + (f": {said}" if said else "")
            return
        streamed = "event-stream" in response.headers.get("content-type", "")
        for data in reply.events(pieces) if streamed else ["".join(pieces)]:
            if data == "[DONE]":
                break
            if answer.take(reply.parsed(data)) and not answer.first:
                answer.first = time.monotonic() - begun
        if answer.finish is None:
            answer.failure = "breaks off without finishing the answer (no finish_reason)"

    def _pieces(self, response: httpx2.Response) -> Iterator[str]:
        """The body, as far as anybody would wait for it."""
        begun, size = time.monotonic(), 0
        for piece in response.iter_text():
            size += len(piece)
            if size > _LARGEST or time.monotonic() - begun > self.settings.timeout:
                raise ValueError("the answer does not end")
            yield piece

    @contextmanager
    def _explained(self, answer: Reply) -> Iterator[None]:
        """Whatever the connection does becomes the answer's failure."""
        try:
            yield
        except (httpx2.ConnectError, httpx2.ConnectTimeout) as error:
            self.gone = True
            answer.failure = f"does not take connections ({error})"
        except httpx2.TimeoutException:
            answer.failure = f"sent nothing for {self.settings.timeout:g} seconds"
        except httpx2.TransportError:
            answer.failure = "closes the connection without a whole answer"
        except (ValueError, httpx2.DecodingError) as error:
            answer.failure = f"sends something that is no chat completion ({error})"

    def _url(self, path: str) -> str:
        return self.endpoint.base_url + path
