"""What fills the context window, and whether the endpoint really read the whole prompt."""

import json
import math
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from pydantic_ai import ToolDefinition
from pydantic_ai.messages import (
    ModelMessage,
    ModelResponse,
    SystemPromptPart,
    TextPart,
    ToolCallPart,
    ToolReturnPart,
    UserPromptPart,
)

from agent.connect import Endpoint
from agent.settings import Settings

_WORD = re.compile(r"\w+")
# Tokenizers split at spaces and punctuation, so a prompt has at least a token for every word.
_SLACK = 0.9
_SURE = 256  # words below which a count proves nothing
_CUT = (
    "The endpoint read {reported} tokens of a prompt of at least {least}: it cut the prompt "
    "silently. Raise its context window, or ask about less at once."
)

# A cautious guess for code, until the endpoint's own counts correct it within these bounds.
_BYTES_PER_TOKEN = 3
_PER_MESSAGE = 4
_SCALES = (0.6, 4.0)

Kind = Literal["question", "history", "results"]


@dataclass(frozen=True)
class Reading:
    """What a model's chat template keeps of a conversation; the rest never reaches the model.

    `prompt`: the system prompt and the tools' schemas, else only the tools' names. `before`:
    characters of each text of the exchange before the current turn, with nothing older; None: all
    of the history. `result`: characters of a tool result; None: all of them.
    """

    prompt: bool = True
    before: int | None = None
    result: int | None = None
    note: str = ""


WHOLE = Reading()
# A test holds this against the embedded model's own template.
EMBEDDED = Reading(
    prompt=False,
    before=300,
    result=1500,
    note=(
        "The embedded model reads neither the system prompt nor AGENTS.md. Of the conversation it "
        "reads the current turn (1500 characters of each tool result) and 300 characters each of "
        "the question and answer before it; nothing older."
    ),
)


@dataclass(frozen=True)
class Filling:
    """Tokens of each part of a prompt, estimated; `answer` is what is kept free for the answer."""

    system: int
    agents_md: int
    tools: int
    question: int
    history: int
    results: int
    answer: int
    window: int | None = None
    note: str = ""

    @property
    def used(self) -> int:
        """Tokens of the whole prompt."""
        return (
            self.system + self.agents_md + self.tools + self.question + self.history + self.results
        )

    @property
    def free(self) -> int | None:
        """Tokens that the conversation may still grow by; None: the window is not known."""
        return None if self.window is None else max(0, self.window - self.answer - self.used)

    def rows(self) -> list[tuple[str, int | None]]:
        """(what, tokens) as `/context` lists them."""
        return [
            ("system prompt", self.system),
            ("AGENTS.md", self.agents_md),
            ("tools", self.tools),
            ("question", self.question),
            ("history", self.history),
            ("tool results", self.results),
            ("kept for the answer", self.answer),
            ("free", self.free),
        ]


class Context:
    """The accounting of one conversation's context window.

    Counts are estimates from the size of the texts, corrected by what the endpoint reports.
    """

    def __init__(
        self,
        window: int | None = None,
        reading: Reading = WHOLE,
        *,
        system: str = "",
        agents_md: str = "",
        max_tokens: int = 0,
    ) -> None:
        """`window`: tokens the model can read; `max_tokens`: of its longest answer."""
        self.window = window
        self.reading = reading
        self._max_tokens = max_tokens
        self._system, self._agents_md, self._tools = system, agents_md, ""
        self._scale = 1.0

    @property
    def answer(self) -> int:
        """Tokens kept for the answer: in a small window not all that the settings allow."""
        share = self._max_tokens if self.window is None else self.window // 4
        return min(self._max_tokens, share)

    def offer(self, tools: Sequence[ToolDefinition]) -> None:
        """Count these tools from now on; a request without any changes nothing."""
        if tools:
            self._tools = _offered(tools, self.reading.prompt)

    def filling(self, messages: Sequence[ModelMessage]) -> Filling:
        """What a request with this conversation fills."""
        sizes: dict[Kind, float] = {"question": 0, "history": 0, "results": 0}
        for kind, size in _sizes(messages, self.reading):
            sizes[kind] += size
        prompt = self.reading.prompt
        return Filling(
            system=self._scaled(_tokens(self._system)) if prompt else 0,
            agents_md=self._scaled(_tokens(self._agents_md)) if prompt else 0,
            tools=self._scaled(_tokens(self._tools)),
            question=self._scaled(sizes["question"]),
            history=self._scaled(sizes["history"]),
            results=self._scaled(sizes["results"]),
            answer=self.answer,
            window=self.window,
            note=self.reading.note,
        )

    def tokens(self, messages: Sequence[ModelMessage]) -> int:
        """Tokens of a conversation, without system prompt and tools."""
        return self._scaled(sum(size for _, size in _sizes(messages, self.reading)))

    def room(self) -> int | None:
        """Tokens that the whole conversation may have; None: the window is not known."""
        if self.window is None:
            return None
        return self.window - self.answer - self.filling(()).used

    def learn(self, messages: Sequence[ModelMessage], reported: int) -> None:
        """Correct the estimate by the endpoint's count of a prompt, 0 when it gave none."""
        guessed = self.filling(messages).used / self._scale
        if reported and guessed >= _SURE:
            self._scale = min(max(reported / guessed, _SCALES[0]), _SCALES[1])

    def _scaled(self, tokens: float) -> int:
        return math.ceil(tokens * self._scale)


def window_of(settings: Settings, endpoint: Endpoint) -> int | None:
    """Tokens the model can read, as far as it is known without asking."""
    if settings.context_window is not None or not endpoint.embedded:
        return settings.context_window
    config = Path(__file__).with_name("embedded") / "config.json"
    return int(json.loads(config.read_text(encoding="utf-8"))["max_position_embeddings"])


def turn_starts(messages: Sequence[ModelMessage]) -> list[int]:
    """Where the turns begin: the indexes of the messages with a question."""
    return [
        index
        for index, message in enumerate(messages)
        if any(isinstance(part, UserPromptPart) for part in message.parts)
    ]


def _tokens(text: str) -> float:
    return len(text.encode("utf-8", "replace")) / _BYTES_PER_TOKEN


def _offered(tools: Sequence[ToolDefinition], with_schemas: bool) -> str:
    if not with_schemas:
        return " ".join(tool.name for tool in tools)
    return json.dumps([[t.name, t.description, t.parameters_json_schema] for t in tools])


def _sizes(messages: Sequence[ModelMessage], reading: Reading) -> Iterator[tuple[Kind, float]]:
    """(kind, tokens) of everything in a conversation that reaches the model."""
    starts = turn_starts(messages)
    current = starts[-1] if starts else 0
    if reading.before is not None:
        for text in _exchange_before(messages, starts):
            yield "history", _tokens(text[: reading.before]) + _PER_MESSAGE
    for index in range(current if reading.before is not None else 0, len(messages)):
        is_question = bool(starts) and index == current
        for kind, text in _texts_of(messages[index]):
            if kind == "results":
                text = text[: reading.result]
            elif kind == "question" and not is_question:
                kind = "history"
            yield kind, _tokens(text) + _PER_MESSAGE


def _exchange_before(messages: Sequence[ModelMessage], starts: Sequence[int]) -> list[str]:
    """The question before the current one and its last answer, if it has one."""
    if len(starts) < 2:
        return []
    turn = messages[starts[-2] : starts[-1]]
    answers = [message.text for message in turn if isinstance(message, ModelResponse)]
    said = [text for text in answers if text]
    asked = [text for kind, text in _texts_of(turn[0]) if kind == "question"]
    return [asked[-1], said[-1]] if said and asked else []


def _texts_of(message: ModelMessage) -> Iterator[tuple[Kind, str]]:
    for part in message.parts:
        if isinstance(part, UserPromptPart):
            content = part.content
            texts = [content] if isinstance(content, str) else [str(item) for item in content]
            yield "question", "\n".join(texts)
        elif isinstance(part, ToolReturnPart):
            yield "results", part.model_response_str()
        elif isinstance(part, ToolCallPart):
            yield "history", part.tool_name + part.args_as_json_str()
        elif isinstance(part, TextPart | SystemPromptPart):
            yield "history", part.content


def least_tokens(texts: Iterable[str]) -> int:
    """A lower bound of the tokens of these texts for any common tokenizer."""
    return sum(len(_WORD.findall(text)) for text in texts)


class Meter:
    """Compares the endpoint's count of each prompt with what the prompt must have at least.

    `window`: the configured context window in tokens. `whole`: whether the endpoint means to read
    the whole prompt; the embedded model's own template cuts it on purpose.
    """

    def __init__(self, window: int | None = None, *, whole: bool = True) -> None:
        self._window = window
        self._whole = whole
        self._last: tuple[int, int] | None = None

    def problem(
        self, messages: Sequence[ModelMessage], reported: int, without_tools: bool = False
    ) -> str | None:
        """Why the prompt cannot have been read whole, or None.

        `reported` is the endpoint's count of prompt tokens, 0 when it gave none. `without_tools`
        says that this prompt lacks the tool schemas, so that its size compares with no other.
        """
        if not reported or not self._whole:
            return None
        if self._window is not None and reported > self._window:
            return f"The conversation has {reported} tokens; the context window has {self._window}."
        least = least_tokens(_texts(messages))
        before, self._last = self._last, None if without_tools else (reported, least)
        if _too_few(reported, least):
            return _CUT.format(reported=reported, least=least)
        if before and self._last and _too_few(reported - before[0], least - before[1]):
            least = before[0] + least - before[1]
            return _CUT.format(reported=reported, least=least)
        return None


def _too_few(reported: int, least: int) -> bool:
    return least >= _SURE and reported < least * _SLACK


def _texts(messages: Sequence[ModelMessage]) -> Iterable[str]:
    for message in messages:
        for part in message.parts:
            content = getattr(part, "content", None)
            if isinstance(content, str) and part.part_kind != "thinking":
                yield content
