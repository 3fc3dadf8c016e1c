"""Making room in a long conversation: what goes first, and that whoever listens is told.

Cuts are rare and large: a conversation that would overflow is cut to halfway between what may be
sent and what must stay. Between two cuts it only grows, so its beginning stays in the cache.
"""

import bisect
import json
from collections.abc import Awaitable, Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple

from pydantic_ai import RunContext
from pydantic_ai.capabilities import AbstractCapability
from pydantic_ai.messages import (
    ModelMessage,
    ModelRequest,
    ModelRequestPart,
    ModelResponse,
    SystemPromptPart,
    ToolCallPart,
    ToolReturnPart,
    UserPromptPart,
)
from pydantic_ai.models import ModelRequestContext

from agent import rescue
from agent.context import Context, turn_starts
from agent.events import Emit, Notice
from agent_tools import WRITES

Count = Callable[[Sequence[ModelMessage]], int]
"""Tokens of a conversation. Must not grow when a message is taken away or shortened."""

Place = tuple[int, int]
"""A part: the index of its message, its position there."""

_WORTH_ASKING = 1000  # tokens; a smaller conversation fits anywhere
_LONGEST = 80  # characters of a call's arguments in a note
_AGAIN = "call it again if you need it"
_WRITTEN = "it was carried out; look at the file instead of repeating it"
_TOO_LARGE = "it does not fit; ask for less at once"
_GONE = "[Earlier turns of this conversation were removed to make room.]"


@dataclass(frozen=True)
class Compacted:
    """A conversation after cuts.

    `results`: the calls whose results became a note; `turns`: how many whole turns are gone;
    `tokens`: what is left; `fits`: whether that is within the budget.
    """

    messages: list[ModelMessage]
    results: tuple[str, ...] = ()
    turns: int = 0
    tokens: int = 0
    fits: bool = True

    @property
    def is_cut(self) -> bool:
        """Whether anything is gone."""
        return bool(self.results or self.turns)


def compact(messages: Sequence[ModelMessage], budget_tokens: int, count: Count) -> Compacted:
    """The conversation with no more cuts than it takes to fit `budget_tokens`.

    In this order: tool results of earlier turns, earlier turns as a whole, results of the current
    turn, its calls, and last its newest results; always the oldest first. The current question and
    any system prompt stay, and no call is parted from its result. Where all that is not enough,
    `fits` is False.
    """
    return _fitting(_Cuts(messages), budget_tokens, count)


def relieve(messages: Sequence[ModelMessage], limit_tokens: int, count: Count) -> Compacted:
    """`compact` in one large step, so that many turns pass before the next.

    Aims halfway between the limit and what must stay: the current turn's newest results.
    """
    cuts = _Cuts(messages)
    least = count(cuts.made(cuts.sparing_the_newest).messages)
    aim = limit_tokens if least > limit_tokens else (least + limit_tokens) // 2
    return _fitting(cuts, aim, count)


def _fitting(cuts: "_Cuts", budget: int, count: Count) -> Compacted:
    def fits(number: int) -> bool:
        return count(cuts.made(number).messages) <= budget

    number = bisect.bisect_left(range(cuts.total + 1), True, key=fits)
    done = cuts.made(min(number, cuts.total))
    tokens = count(done.messages)
    return replace(done, tokens=tokens, fits=tokens <= budget)


class _Cuts:
    """Everything that can be cut from a conversation, in order."""

    def __init__(self, messages: Sequence[ModelMessage]) -> None:
        self._messages = list(messages)
        starts = turn_starts(self._messages)
        current = starts[-1] if starts else 0
        self._begins = sorted({0, *starts})
        self._earlier_turns = self._begins.index(current)
        last = len(self._messages) - 1
        self._results = dict(_results(self._messages))
        noted = [place for place, result in self._results.items() if result.note]
        self._before = [place for place in noted if place[0] < current]
        self._now = [place for place in noted if current <= place[0] < last]
        self._calls = [i for i in range(current + 1, last - 1) if _is_exchange(self._messages, i)]
        self._newest = [place for place in noted if place[0] == last and last >= current]
        self.sparing_the_newest = len(noted) - len(self._newest)
        self.sparing_the_newest += self._earlier_turns + len(self._calls)
        self.total = self.sparing_the_newest + len(self._newest)

    def made(self, number: int) -> Compacted:
        """The conversation after the first `number` cuts; `tokens` and `fits` are not known yet."""
        taken: list[int] = []
        for size in (len(self._before), self._earlier_turns, len(self._now), len(self._calls)):
            taken.append(min(number, size))
            number -= taken[-1]
        before, turns, now, calls = taken
        gone = {*self._before[:before], *self._now[:now], *self._newest[:number]}
        dropped = {index + side for index in self._calls[:calls] for side in (0, 1)}
        begin = self._begins[turns]
        indexes = [i for i in range(begin, len(self._messages)) if i not in dropped]
        kept = [self._noted(index, gone) for index in indexes]
        if turns:
            kept[0] = self._first(kept[0], begin, is_current=turns == self._earlier_turns)
        lost = [
            result.call
            for place, result in self._results.items()
            if place[0] >= begin and (place in gone or place[0] in dropped)
        ]
        return Compacted(kept, tuple(lost), turns)

    def _noted(self, index: int, gone: set[Place]) -> ModelMessage:
        """A message with notes in place of the results that are gone."""
        message = self._messages[index]
        if not isinstance(message, ModelRequest):
            return message
        if not any((index, position) in gone for position in range(len(message.parts))):
            return message
        parts = [
            _emptied(part, self._results[index, position].note)
            if isinstance(part, ToolReturnPart) and (index, position) in gone
            else part
            for position, part in enumerate(message.parts)
        ]
        return replace(message, parts=parts)

    def _first(self, message: ModelMessage, begin: int, is_current: bool) -> ModelMessage:
        """The new first message: no result without its call, every system prompt, a note."""
        assert isinstance(message, ModelRequest)
        earlier = [part for m in self._messages[:begin] for part in m.parts]
        parts: list[ModelRequestPart] = [p for p in earlier if isinstance(p, SystemPromptPart)]
        for part in message.parts:
            if isinstance(part, ToolReturnPart):
                continue
            parts.append(part if is_current else _announced(part))
        return message if parts == list(message.parts) else replace(message, parts=parts)


def _emptied(part: ToolReturnPart, note: str) -> ToolReturnPart:
    return ToolReturnPart(
        part.tool_name, note, part.tool_call_id, timestamp=part.timestamp, outcome=part.outcome
    )


def _announced(part: ModelRequestPart) -> ModelRequestPart:
    """An earlier question that says that others came before it; the current one stays as it is."""
    if not isinstance(part, UserPromptPart) or not isinstance(part.content, str):
        return part
    if part.content.startswith(_GONE):
        return part
    return replace(part, content=f"{_GONE}\n{part.content}")


class _Result(NamedTuple):
    """A tool result: its call on one line, and a note in its place if that saves anything."""

    call: str
    note: str


def _results(messages: Sequence[ModelMessage]) -> Iterator[tuple[Place, _Result]]:
    calls: dict[str, ToolCallPart] = {}
    for index, message in enumerate(messages):
        if isinstance(message, ModelResponse):
            calls |= {part.tool_call_id: part for part in message.tool_calls}
            continue
        for position, part in enumerate(message.parts):
            if isinstance(part, ToolReturnPart):
                call = _spelt(part.tool_name, calls.get(part.tool_call_id))
                note = _note(call, part.tool_name, is_newest=index == len(messages) - 1)
                is_shorter = len(note) < len(part.model_response_str())
                yield (index, position), _Result(call, note if is_shorter else "")


def _is_exchange(messages: Sequence[ModelMessage], index: int) -> bool:
    """Whether calls and nothing but their results begin here."""
    calls, results = messages[index], messages[index + 1]
    return (
        isinstance(calls, ModelResponse)
        and isinstance(results, ModelRequest)
        and all(isinstance(part, ToolReturnPart) for part in results.parts)
    )


def _spelt(name: str, call: ToolCallPart | None) -> str:
    """A call on one line: `grep(pattern="Basket")`."""
    given = rescue.arguments(call.args) if call is not None else None
    texts = (
        f"{key}={json.dumps(value, ensure_ascii=False)}" for key, value in (given or {}).items()
    )
    arguments = " ".join(", ".join(texts).split())
    if len(arguments) > _LONGEST:
        arguments = arguments[: _LONGEST - 1] + "…"
    return f"{name}({arguments})"


def _note(call: str, name: str, is_newest: bool) -> str:
    advice = _WRITTEN if name in WRITES else _TOO_LARGE if is_newest else _AGAIN
    return f"[{call}: result removed to make room; {advice}.]"


@dataclass
class Compaction(AbstractCapability[None]):
    """Compacts a run's conversation before a request that would overflow, and says so.

    `made`: whether it had to. `find_window` asks for a window that is not known, once, when the
    conversation has grown enough to need it.
    """

    context: Context = field(default_factory=Context)
    emit: Emit = lambda event: None
    interventions: list[str] = field(default_factory=list)
    made: bool = False
    find_window: Callable[[], Awaitable[int | None]] | None = None

    async def before_model_request(
        self, ctx: RunContext[None], request_context: ModelRequestContext
    ) -> ModelRequestContext:
        tools = request_context.model_request_parameters.function_tools
        self.context.offer(tools)
        before = self.context.tokens(request_context.messages)
        if self.context.window is None and self.find_window and before >= _WORTH_ASKING:
            self.context.window = await self.find_window()
        limit = self.context.room()
        if limit is None or before <= limit:
            return request_context
        done = relieve(request_context.messages, limit, self.context.tokens)
        if done.is_cut:
            request_context.messages = list(done.messages)
            ctx.messages[:] = done.messages
            self.made = True
            self.interventions.append("compacted")
            self.emit(notice(done, before))
        return request_context

    async def after_model_request(
        self,
        ctx: RunContext[None],
        *,
        request_context: ModelRequestContext,
        response: ModelResponse,
    ) -> ModelResponse:
        if request_context.model_request_parameters.function_tools:
            self.context.learn(request_context.messages, response.usage.input_tokens)
        return response


def notice(done: Compacted, before: int) -> Notice:
    """What was cut, for whoever listens; `before` is the conversation's tokens until then."""
    details: dict[str, Any] = {
        "results": list(done.results),
        "turns": done.turns,
        "tokens_before": before,
        "tokens_after": done.tokens,
        "fits": done.fits,
    }
    if not done.is_cut:
        return Notice("compaction", "Nothing can be removed from the conversation.", details)
    what = [
        _counted(len(done.results), "tool result"),
        _counted(done.turns, "earlier turn"),
    ]
    removed = " and ".join(text for text in what if text)
    return Notice(
        "compaction",
        f"Made room in the conversation: {removed} removed, "
        f"about {before} -> {done.tokens} tokens.",
        details,
    )


def _counted(number: int, what: str) -> str:
    return f"{number} {what}{'s' if number > 1 else ''}" if number else ""
