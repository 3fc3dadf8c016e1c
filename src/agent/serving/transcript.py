"""One answer as it grows: tokens in; text, reasoning and tool calls out."""

import zlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

from agent.serving import toolcalls
from agent.serving.stops import Scanner
from agent.serving.tokenizer import HERMES_END, HERMES_START, Tokenizer
from agent.serving.toolcalls import ToolCall

FinishReason = Literal["stop", "length", "tool_calls"]
State = Literal["say", "think", "call"]

RUNAWAY = 1_000
"""So many characters at the end of a call that repeat each other: it would never end."""
_NEXT_TO_NOTHING = 100  # bytes, compressed
_STEP = 64  # characters between two looks


@dataclass(frozen=True)
class Text:
    """A piece of the answer; `reasoning` when it is thought, not said."""

    text: str
    reasoning: bool = False


@dataclass(frozen=True)
class CallFormat:
    """How calls are read: Hermes by its two tokens, other formats by markers in the text."""

    read: Callable[[str], list[ToolCall]]
    start: str = HERMES_START
    end: str = HERMES_END
    by_token: bool = True


HERMES = CallFormat(read=lambda text: [toolcalls.parse(text)])


class Transcript:
    """Follows the tokens of one answer.

    `finish` is set as soon as the answer is over by itself: end of turn, stop text, or the only
    call that is allowed. `calls` holds the whole calls; half a call is never one.
    """

    def __init__(
        self,
        tokenizer: Tokenizer,
        stops: Sequence[str] = (),
        calls: CallFormat | None = None,
        one_call: bool = False,
        thinking: bool = False,
    ) -> None:
        """`calls` None: none are looked for; `thinking`: the prompt ends inside a thought."""
        self._tokenizer = tokenizer
        self._decoder = tokenizer.decoder()
        self._format = calls
        self._one_call = one_call
        self._stops = Scanner(stops)
        self._state: State = "think" if thinking else "say"
        self._scanners = self._make_scanners()
        self._inside, self._looked = "", 0
        self._blank: str | None = ""
        self.calls: list[ToolCall] = []
        self.finish: FinishReason | None = None

    def feed(self, token: int) -> Iterator[Text]:
        """Text that `token` made certain; afterwards look at `finish`."""
        by_token = self._format is not None and self._format.by_token
        if token in self._tokenizer.ends:
            yield from self._over("stop")
        elif by_token and token == self._tokenizer.control[HERMES_START]:
            yield from self._drain()
            self._begin_call()
        elif by_token and token == self._tokenizer.control[HERMES_END] and self._state == "call":
            yield from self._drain()
            yield from self._end_call()
        else:
            yield from self._route(self._decoder.feed(token))

    def cut(self) -> Iterator[Text]:
        """The token limit came first: what was held back is shown, half calls are dropped."""
        if self._state == "call":
            self.calls.clear()
            self.finish = "length"
        else:
            yield from self._over("length")

    def _over(self, finish: FinishReason) -> Iterator[Text]:
        yield from self._drain()
        if self._state == "call" and self._format is not None:
            yield from self._end_call()  # some formats end a call with the turn
        if self.finish is None:
            yield from self._show(self._stops.flush())
        self.finish = self.finish or ("tool_calls" if self.calls else finish)

    def _drain(self) -> Iterator[Text]:
        """Everything the decoder and the scanner of this state hold back."""
        yield from self._route(self._decoder.flush())
        yield from self._put(self._scanners[self._state].flush())

    def _route(self, text: str) -> Iterator[Text]:
        while text and self.finish is None:
            before, marker, text = self._scanners[self._state].feed(text)
            yield from self._put(before)
            if marker is None:
                return
            if self._format is not None and marker == self._format.start:
                self._begin_call()
            elif self._state == "call":
                yield from self._end_call()
            else:
                self._state = "say" if self._state == "think" else "think"

    def _put(self, text: str) -> Iterator[Text]:
        if not text or self.finish is not None:
            return
        if self._state == "call":
            self._inside += text
            if len(self._inside) - self._looked >= _STEP:
                self._looked = len(self._inside)
                if runs_away(self._inside):
                    yield from self.cut()
        elif self._state == "think":
            yield Text(text, reasoning=True)
        else:
            before, stop, _ = self._stops.feed(text)
            yield from self._show(before)
            self.finish = "stop" if stop is not None else None

    def _begin_call(self) -> None:
        self._state, self._inside, self._looked = "call", "", 0

    def _end_call(self) -> Iterator[Text]:
        """Read the call; one that does not parse or fit is shown as the text it is."""
        assert self._format is not None
        self._state = "say"
        try:
            self.calls += self._format.read(self._inside)
        except Exception:  # mlx-lm's parsers of many formats fail in many ways
            yield from self._show(self._format.start + self._inside + self._format.end)
        if self._one_call and self.calls:
            del self.calls[1:]
            self.finish = "tool_calls"

    def _show(self, text: str) -> Iterator[Text]:
        """White space at the very beginning waits: before a tool call it is nothing."""
        if self._blank is not None:
            text = self._blank + text
            self._blank = None if text.strip() else text
        if text and self._blank is None:
            yield Text(text)

    def _make_scanners(self) -> dict[State, Scanner]:
        start, end = self._tokenizer.thinking or ("", "")
        foreign = self._format is not None and not self._format.by_token
        call_start = [self._format.start] if self._format is not None and foreign else []
        call_end = [self._format.end] if self._format is not None and foreign else []
        return {
            "say": Scanner([start, *call_start]),
            "think": Scanner([end, *call_start]),
            "call": Scanner(call_end),
        }


def runs_away(text: str) -> bool:
    """Whether the last `RUNAWAY` characters say next to nothing new, and are no ruler."""
    end = text[-RUNAWAY:]
    if len(end) < RUNAWAY or not any(character.isalnum() for character in end[-_STEP:]):
        return False
    return len(zlib.compress(end.encode())) <= _NEXT_TO_NOTHING
