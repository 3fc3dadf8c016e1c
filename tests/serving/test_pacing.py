"""Events of the engine on their way into a stream: joined where they come fast, never lost."""

import asyncio
from types import SimpleNamespace
from typing import Any

import pytest

from agent.serving.app import FRAME_SECONDS, Endpoint, _into
from agent.serving.engine import Event, Finished, Usage
from agent.serving.transcript import Text

END = Finished("stop", [], Usage(1, 0, 3))


def delivered(*emitted: Event, at_once: bool = True) -> list[Event]:
    async def collect() -> list[Event]:
        events: asyncio.Queue[Event] = asyncio.Queue()
        emit = _into(events, asyncio.get_running_loop(), at_once, lambda: FRAME_SECONDS)
        for event in emitted:
            emit(event)
        found = [await events.get()]
        while found[-1] is not END:
            found.append(await events.get())
        return found

    return asyncio.run(collect())


def test_what_comes_fast_is_joined() -> None:
    pieces = [Text(f"{n} ") for n in range(500)]
    found = delivered(*pieces, END)
    said = [event.text for event in found if isinstance(event, Text)]
    assert "".join(said) == "".join(piece.text for piece in pieces)
    assert len(said) < 100


def test_thoughts_and_words_stay_apart() -> None:
    found = delivered(Text("hm", True), Text("m", True), Text("yes"), END, at_once=False)
    assert found == [Text("hmm", True), Text("yes"), END]


@pytest.mark.parametrize(("running", "frames"), [(0, 1), (1, 1), (8, 8)])
def test_streams_of_a_crowd_wait_longer(running: int, frames: int) -> None:
    engine: Any = SimpleNamespace(metrics=SimpleNamespace(running=running))
    assert Endpoint(engine, lambda change: None)._frame() == frames * FRAME_SECONDS
