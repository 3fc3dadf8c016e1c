"""The model behind the endpoint, as PydanticAI sees it, tuned to small local servers."""

from collections.abc import AsyncIterable, AsyncIterator
from typing import Any

import pydantic_ai
from genai_prices.data_snapshot import DataSnapshot, set_custom_snapshot
from openai import AsyncOpenAI
from openai.types.chat import ChatCompletionChunk
from openai.types.chat.chat_completion_chunk import Choice, ChoiceDelta
from pydantic_ai.models.openai import (
    OpenAIChatModel,
    OpenAIChatModelSettings,
    OpenAIStreamedResponse,
)
from pydantic_ai.profiles.openai import OpenAIModelProfile
from pydantic_ai.providers.openai import OpenAIProvider
from pydantic_ai.usage import RequestUsage

from agent import answer, transport
from agent.connect import Endpoint
from agent.settings import Settings

PROFILE = OpenAIModelProfile(
    supports_inline_system_prompts=False,
    supports_json_schema_output=False,
    supports_json_object_output=False,
    ignore_streamed_leading_whitespace=True,
    openai_chat_supports_max_completion_tokens=False,
    openai_supports_strict_tool_definition=False,
    openai_chat_supports_multiple_system_messages=False,
    openai_chat_supports_allowed_tools=False,
    openai_chat_send_back_thinking_parts=False,
    openai_chat_streaming_requires_finish_reason=True,
)
_REPETITION_STEP = 64  # characters between two looks for repeated text


class CleanStream(OpenAIStreamedResponse):
    """A streamed response that is cleaned as it comes and ends where the answer ends."""

    def _validate_response(self) -> AsyncIterable[ChatCompletionChunk]:
        return self._cleaned()

    async def _cleaned(self) -> AsyncIterator[ChatCompletionChunk]:
        cleaner = answer.Cleaner()
        text, looked = "", 0
        last: ChatCompletionChunk | None = None
        async for chunk in self._response:
            last = chunk
            delta = chunk.choices[0].delta if chunk.choices else None
            if delta is not None and isinstance(delta.content, str):
                delta.content = cleaner.feed(delta.content)
                text += delta.content
            if delta is not None:
                _make_encodable(delta)
            if chunk.choices and chunk.choices[0].finish_reason and delta is not None:
                delta.content = (delta.content or "") + cleaner.finish()
            yield chunk
            if cleaner.ended:
                self._note("garbage_after_answer")
                yield _closing(chunk, "stop")
                return
            if len(text) - looked >= _REPETITION_STEP:
                looked = len(text)
                if answer.repetition(text) is not None:
                    yield _closing(chunk, "length")
                    return
        if last is not None and not self._has_finish_reason and (rest := cleaner.finish()):
            yield _closing(last, None, rest)

    def _note(self, name: str) -> None:
        self.provider_details = {**(self.provider_details or {}), name: True}

    def _map_usage(self, response: ChatCompletionChunk) -> RequestUsage:
        # PydanticAI's own reads the usage through the table of prices, which is empty here.
        used = response.usage
        details = used.prompt_tokens_details if used else None
        return RequestUsage(
            input_tokens=used.prompt_tokens if used else 0,
            output_tokens=used.completion_tokens if used else 0,
            cache_read_tokens=(details.cached_tokens if details else 0) or 0,
        )

    def _map_chunk_provider_details(self, chunk: ChatCompletionChunk) -> dict[str, Any] | None:
        return {"fingerprint": chunk.system_fingerprint} if chunk.system_fingerprint else None


def _make_encodable(delta: ChoiceDelta) -> None:
    """Calls are sent back with the next request, even those that name no tool."""
    for call in delta.tool_calls or ():
        function = call.function
        if function is not None:
            function.name = function.name and answer.encodable(function.name)
            function.arguments = function.arguments and answer.encodable(function.arguments)


def _closing(like: ChatCompletionChunk, reason: Any, text: str = "") -> ChatCompletionChunk:
    choice = Choice(index=0, delta=ChoiceDelta(content=text), finish_reason=reason)
    return like.model_copy(update={"choices": [choice], "usage": None})


class LocalModel(OpenAIChatModel):
    """`OpenAIChatModel` with cleaned streams."""

    @property
    def _streamed_response_cls(self) -> type[OpenAIStreamedResponse]:
        return CleanStream


def model_settings(settings: Settings) -> OpenAIChatModelSettings:
    """What is sent with every request.

    PydanticAI drops unknown keys silently, so they are refused here.
    """
    wanted = OpenAIChatModelSettings(
        temperature=settings.temperature,
        max_tokens=settings.max_tokens,
        stop_sequences=list(settings.stop),
    )
    return checked(wanted)


def checked(wanted: OpenAIChatModelSettings) -> OpenAIChatModelSettings:
    """The settings, if PydanticAI knows every key.

    Raises:
        ValueError: it would silently drop one (`stop` instead of `stop_sequences`, say).
    """
    unknown = set(wanted) - OpenAIChatModelSettings.__optional_keys__
    if unknown:
        raise ValueError(f"Unknown model settings: {', '.join(sorted(unknown))}.")
    return wanted


def build(
    endpoint: Endpoint, settings: Settings, stopwatch: transport.Stopwatch | None = None
) -> LocalModel:
    """The model at an endpoint; `stopwatch` learns how long it lets us wait."""
    # Local tokens have no price; loading the world's prices takes a tenth of a cold start.
    set_custom_snapshot(DataSnapshot(providers=[], from_auto_update=False))
    pydantic_ai.BANNER_ENABLED = False
    http = transport.client(
        endpoint.base_url,
        settings.retries,
        settings.timeout,
        settings.connect_timeout,
        stopwatch,
    )
    openai = AsyncOpenAI(
        base_url=endpoint.base_url,
        api_key=endpoint.api_key,
        http_client=http,
        max_retries=0,
        timeout=http.timeout,
    )
    return LocalModel(
        endpoint.model,
        provider=OpenAIProvider(openai_client=openai),
        profile=PROFILE,
        settings=model_settings(settings),
    )
