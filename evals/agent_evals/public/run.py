"""One request of a public set to an endpoint, as the product sends its own, and its verdict."""

import hashlib
import time
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from agent import answer, problems, rescue
from agent.connect import Endpoint
from agent.settings import Settings
from agent.transport import Stopwatch
from agent_evals.config import Configuration
from agent_evals.public.cases import PublicCase
from agent_evals.public.check import check
from agent_evals.public.schema import Offered
from agent_evals.store import Row, row
from agent_evals.transcript import Call, Transcript

if TYPE_CHECKING:
    from pydantic_ai.messages import ModelMessage, ModelResponse
    from pydantic_ai.models import StreamedResponse

_NO_JSON = "The arguments are no JSON object."


@dataclass(frozen=True)
class OnPublicSet:
    """Cases of a public set, as `agent_evals.run.Runner` takes them."""

    cases: Sequence[PublicCase]

    def digest(self, case: PublicCase) -> tuple[str, str]:
        """The hash of the case's content, and that of the code that checks it."""
        return hashlib.sha256(case.content.encode()).hexdigest(), _code()

    async def attempt(
        self, case: PublicCase, configuration: Configuration, endpoint: Endpoint
    ) -> Row:
        """Ask once and check the reply."""
        return await ask(case, endpoint, configuration.settings())


@cache
def _code() -> str:
    files = sorted(Path(__file__).parent.glob("*.py"))
    return hashlib.sha256(b"\0".join(file.read_bytes() for file in files)).hexdigest()


async def ask(case: PublicCase, endpoint: Endpoint, settings: Settings) -> Row:
    """The result of one request with the case's messages and tools; nothing is executed.

    Never raises for a request that ends badly: the row says how it ended.
    """
    begun = time.perf_counter()
    stopwatch = Stopwatch()
    run = await _request(case, endpoint, settings, stopwatch)
    verdict = check(case, run)
    seconds = time.perf_counter() - begun
    return row(
        {
            **case.as_row(),
            **run.as_row(),
            "seconds": seconds,
            "verdict": verdict,
            "first_token_seconds": stopwatch.first_byte,
            "overhead_seconds": max(0.0, seconds - stopwatch.waited),
        }
    )


async def _request(
    case: PublicCase, endpoint: Endpoint, settings: Settings, stopwatch: Stopwatch
) -> Transcript:
    import httpx2
    from pydantic_ai import ToolDefinition
    from pydantic_ai.direct import model_request_stream
    from pydantic_ai.exceptions import AgentRunError
    from pydantic_ai.models import ModelRequestParameters

    from agent import model

    tools = [
        ToolDefinition(
            name=tool.wire,
            description=tool.description,
            parameters_json_schema=dict(tool.parameters),
        )
        for tool in case.tools
    ]
    built = model.build(endpoint, settings, stopwatch)
    stream: StreamedResponse | None = None
    try:
        async with model_request_stream(
            built,
            _messages(case),
            model_request_parameters=ModelRequestParameters(function_tools=tools),
        ) as stream:
            async for _ in stream:
                pass
            response = stream.get()
    except (AgentRunError, httpx2.HTTPError) as error:
        partial = (stream.get().text if stream else None) or ""
        ended, message = problems.explain(error, endpoint, settings, partial)
        named = {"name": endpoint.model, "hash": None}
        return Transcript((), answer.plain(partial), ended, message, model=named)
    finally:
        await built.client.close()
    return _transcript(case, endpoint, response)


def _messages(case: PublicCase) -> "list[ModelMessage]":
    from pydantic_ai.messages import (
        ModelRequest,
        ModelResponse,
        SystemPromptPart,
        TextPart,
        UserPromptPart,
    )

    made: list[ModelMessage] = []
    for message in case.messages:
        text = message["content"]
        if message["role"] == "assistant":
            made.append(ModelResponse([TextPart(text)]))
            continue
        part = SystemPromptPart(text) if message["role"] == "system" else UserPromptPart(text)
        made.append(ModelRequest([part]))
    return made


def _transcript(case: PublicCase, endpoint: Endpoint, response: "ModelResponse") -> Transcript:
    """The reply as it is judged; calls that a model printed are read as the product reads them."""
    text = answer.plain(response.text or "").strip()
    asked = [(part.tool_name, part.args) for part in response.tool_calls]
    interventions: tuple[str, ...] = ()
    if not asked and case.tools:
        known = [name for tool in case.tools for name in (tool.wire, tool.name)]
        asked = [(call.name, call.arguments) for call in rescue.calls_in(text, known)]
        if asked:
            interventions = ("rescued_tool_call",)
    ended, message = _ending(response, text, bool(asked))
    details = response.provider_details or {}
    return Transcript(
        calls=tuple(_call(case.tools, *call) for call in asked) if ended == "success" else (),
        answer="" if interventions else text,
        ended=ended,
        message=message,
        usage={
            "input_tokens": response.usage.input_tokens,
            "output_tokens": response.usage.output_tokens,
            "cached_tokens": response.usage.cache_read_tokens,
        },
        interventions=interventions,
        model={"name": endpoint.model, "hash": details.get("fingerprint")},
    )


def _ending(response: "ModelResponse", text: str, has_calls: bool) -> tuple[str, str]:
    if response.finish_reason == "length":
        return "truncated", "The answer is cut off; raise max_tokens."
    if has_calls:
        return "success", ""
    if response.finish_reason == "tool_call":
        return "error", "The endpoint announced a tool call and sent none: its parser dropped it."
    if not text:
        return "empty", "The model gave an empty answer."
    if answer.has_call_markup(text) or rescue.is_call(text):
        return "unparsed_tool_call", "The model wrote a tool call that cannot be executed."
    return "success", ""


def _call(tools: Sequence[Offered], name: str, raw: str | dict[str, Any] | None) -> Call:
    """A call under the set's own name of the tool; `result` says what is wrong with it."""
    tool = next((tool for tool in tools if name in (tool.wire, tool.name)), None)
    arguments = rescue.arguments(raw)
    if tool is None:
        return Call(name, arguments or {}, "failed", f"No tool {name!r} was offered.", valid=False)
    if arguments is None:
        return Call(tool.name, {}, "failed", _NO_JSON, valid=False)
    problem = tool.problem(arguments)
    if problem is not None:
        return Call(tool.name, arguments, "failed", problem, valid=False)
    return Call(tool.name, arguments, "ok", "")
