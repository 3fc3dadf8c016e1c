"""From whatever went wrong with a model request to one sentence and how the run ended."""

import httpx2
from pydantic_ai.exceptions import (
    IncompleteToolCall,
    ModelAPIError,
    ModelConnectionError,
    ModelContextWindowExceededError,
    ModelHTTPError,
    ModelTimeoutError,
    UnexpectedModelBehavior,
)

from agent.connect import Endpoint
from agent.guards import RunEnded
from agent.settings import Settings

_LONGEST = 300
_NO_TOOLS = ("does not support tools", "does not support function", "tool use is not supported")
_TOO_LONG = ("context length", "context window", "maximum context", "context size", "too long")


def explain(
    error: Exception, endpoint: Endpoint, settings: Settings, partial: str
) -> tuple[str, str]:
    """(subtype, sentence) for a failed run; `partial` is the text that came before the failure."""
    if isinstance(error, RunEnded):
        return error.subtype, str(error)
    where = endpoint.base_url
    if isinstance(error, IncompleteToolCall):
        return "truncated", "The model was cut off within a tool call; raise max_tokens."
    if isinstance(error, ModelHTTPError):
        return _status(error, endpoint)
    if isinstance(error, ModelTimeoutError) or isinstance(error.__cause__, httpx2.TimeoutException):
        return _lost(
            partial, f"{where} sent nothing for {settings.timeout:g} seconds (setting timeout)."
        )
    if isinstance(error, ModelConnectionError | httpx2.TransportError):
        if partial:
            return "truncated", f"{where} broke off in the middle of the answer."
        return "unavailable", f"No endpoint answers at {where}; is it running?"
    if isinstance(error, ModelAPIError):
        if 300 <= getattr(error.__cause__, "status_code", 0) < 400:
            return "unavailable", f"{where} redirects elsewhere; give the final address."
        return _lost(partial, f"{where} broke off without finishing its answer.")
    if isinstance(error, UnexpectedModelBehavior):
        return _lost(
            partial,
            f"{where} answered with something that is no chat completion; is the URL right?",
            "unavailable",
        )
    return "error", f"{type(error).__name__}: {_short(str(error))}"


def _lost(partial: str, sentence: str, without: str = "unavailable") -> tuple[str, str]:
    return ("truncated" if partial else without), sentence


def _status(error: ModelHTTPError, endpoint: Endpoint) -> tuple[str, str]:
    said = _message(error.body)
    code, where, model = error.status_code, endpoint.base_url, endpoint.model
    lower = said.lower()
    if isinstance(error, ModelContextWindowExceededError) or any(p in lower for p in _TOO_LONG):
        return "context_overflow", f"The conversation does not fit the model: {said}"
    if any(phrase in lower for phrase in _NO_TOOLS):
        return "unavailable", f"The model {model!r} at {where} does not support tools: {said}"
    if code in (401, 403):
        return "unavailable", f"{where} refuses the key ({code}); set AGENT_API_KEY."
    if code == 404:
        return "unavailable", f"{where} knows no model {model!r} or is no chat endpoint (404)."
    if code == 429:
        return "unavailable", f"{where} is too busy (429); try again later."
    detail = f": {said}" if said else "."
    return ("unavailable" if code >= 500 else "error"), f"{where} answers {code}{detail}"


def _message(body: object) -> str:
    if isinstance(body, dict):
        inner = body.get("error", body)
        body = inner.get("message", inner) if isinstance(inner, dict) else inner
    text = body if isinstance(body, str) else ""
    return "" if text.lstrip().startswith("<") else _short(text)


def _short(text: str) -> str:
    from agent.answer import plain

    line = " ".join(plain(text).split())
    return line if len(line) <= _LONGEST else line[: _LONGEST - 1] + "…"
