"""Long conversations make room in time: in order, in large steps, and never silently."""

import asyncio
import itertools
import json
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from pydantic_ai.messages import (
    ModelMessage,
    ModelRequest,
    ModelResponse,
    SystemPromptPart,
    TextPart,
    ToolCallPart,
    ToolReturnPart,
    UserPromptPart,
)

from agent.assistant import Assistant
from agent.compaction import Compacted, compact, notice, relieve
from agent.connect import Endpoint
from agent.context import Context, turn_starts
from agent.events import Event, Notice, Result
from agent.journal import Journal
from agent.settings import Settings
from tests.scripted_endpoint import MODEL, Behaviour, Handler, ScriptedEndpoint, call, status, text

count = Context().tokens


def asked(question: str) -> ModelRequest:
    return ModelRequest(parts=[UserPromptPart(question)])


def looked(number: int, result: str, name: str = "grep") -> list[ModelMessage]:
    made = ToolCallPart(name, {"pattern": f"thing{number}"}, f"call_{number}")
    return [
        ModelResponse(parts=[made]),
        ModelRequest(parts=[ToolReturnPart(name, result, f"call_{number}")]),
    ]


def turn(number: int, result: str = "x" * 900, name: str = "grep") -> list[ModelMessage]:
    return [
        asked(f"Question {number}?"),
        *looked(number, result, name),
        ModelResponse(parts=[TextPart(f"Answer {number}.")]),
    ]


def conversation(turns: int) -> list[ModelMessage]:
    return [message for number in range(turns) for message in turn(number)]


def results(messages: Sequence[ModelMessage]) -> list[str]:
    return [p.model_response_str() for m in messages for p in m.parts if is_result(p)]


def is_result(part: object) -> bool:
    return isinstance(part, ToolReturnPart)


def test_nothing_is_cut_while_it_fits() -> None:
    messages = conversation(3)
    got = compact(messages, count(messages), count)
    assert got == Compacted(messages, tokens=count(messages))
    assert not got.is_cut


def test_the_oldest_results_go_first_and_say_how_to_get_them_back() -> None:
    messages = conversation(4)
    got = compact(messages, count(messages) - 300, count)
    note = '[grep(pattern="thing0"): result removed to make room; call it again if you need it.]'
    assert results(got.messages)[0] == note
    assert got.results == ('grep(pattern="thing0")', 'grep(pattern="thing1")')
    assert results(got.messages)[2:] == results(messages)[2:]
    assert got.turns == 0 and got.fits


def test_the_result_of_a_write_is_not_to_be_asked_for_again() -> None:
    messages = [*turn(0, name="write_file"), *turn(1)]
    got = compact(messages, count(messages) - 100, count)
    assert "it was carried out" in results(got.messages)[0]
    assert "call it again" not in results(got.messages)[0]


def test_whole_turns_go_next_and_the_model_is_told() -> None:
    messages = conversation(10)
    got = compact(messages, 500, count)
    assert got.fits and 0 < got.turns < 9
    first = got.messages[0].parts[0]
    assert isinstance(first, UserPromptPart)
    assert first.content == (
        f"[Earlier turns of this conversation were removed to make room.]\nQuestion {got.turns}?"
    )
    again = compact(got.messages, got.tokens - 1, count)
    assert str(again.messages[0].parts[0]).count("Earlier turns") == 1


def test_results_of_the_current_turn_go_last_the_newest_at_the_very_end() -> None:
    now = [asked("Now?"), *looked(7, "y" * 900), *looked(8, "z" * 900)]
    messages = [*conversation(3), *now]
    got = compact(messages, 450, count)
    assert results(got.messages)[0].startswith("[grep(")
    assert results(got.messages)[1] == "z" * 900
    assert got.turns == 3 and got.fits
    got = compact(messages, 300, count)
    assert "ask for less at once" in results(got.messages)[-1]
    assert got.messages[0] is now[0]


def test_calls_of_an_endless_turn_go_with_their_results() -> None:
    exchanges = [message for number in range(30) for message in looked(number, "y" * 300)]
    messages = [asked("Now?"), *exchanges]
    got = compact(messages, 600, count)
    assert got.fits and len(got.messages) < len(messages)
    assert results(got.messages)[-1] == "y" * 300
    assert len(got.results) == 29


def test_a_large_step_leaves_room_for_many_turns() -> None:
    messages = conversation(20)
    limit = count(messages) - 1
    got = relieve(messages, limit, count)
    assert got.tokens <= limit * 0.6
    assert relieve(got.messages, limit, count).messages == got.messages or got.tokens < limit


def test_a_large_step_spares_the_newest_results() -> None:
    messages = [*conversation(5), asked("Now?"), *looked(8, "z" * 3000)]
    got = relieve(messages, count(messages) - 1, count)
    assert results(got.messages)[-1] == "z" * 3000


def test_the_notice_says_what_went() -> None:
    messages = conversation(10)
    told = notice(compact(messages, 500, count), count(messages))
    assert re.match(r"Made room .*: \d tool results and \d earlier turns removed, ", told.message)
    assert told.details["tokens_after"] <= 500
    assert "Nothing" in notice(compact(messages, 9**9, count), 1).message


@st.composite
def histories(draw: st.DrawFn) -> list[ModelMessage]:
    """Any conversation: parallel calls, steering within a turn, reused ids, an open end."""
    words = st.text(max_size=200)
    messages: list[ModelMessage] = []
    if draw(st.booleans()):
        first = [SystemPromptPart("You are kind."), UserPromptPart("First?")]
        messages = [ModelRequest(parts=first), ModelResponse(parts=[TextPart("First.")])]
    for number in range(draw(st.integers(1, 6))):
        messages.append(asked(f"{number}: {draw(words)}"))
        for step in range(draw(st.integers(0, 3))):
            names = draw(st.lists(st.sampled_from(["grep", "write_file", "mine"]), min_size=1))
            ids = [
                f"{draw(st.sampled_from(['a', f'{number}-{step}']))}-{i}" for i in range(len(names))
            ]
            made = [ToolCallPart(n, {"x": draw(words)}, i) for n, i in zip(names, ids, strict=True)]
            back: list[Any] = [
                ToolReturnPart(n, draw(words) * draw(st.integers(0, 20)), i)
                for n, i in zip(names, ids, strict=True)
            ]
            if draw(st.integers(0, 5)) == 0:
                back.append(UserPromptPart("And also this."))
            messages += [ModelResponse(parts=made), ModelRequest(parts=back)]
        messages.append(ModelResponse(parts=[TextPart(draw(words))]))
    return messages[: -1 if draw(st.booleans()) else None]


def pairs(messages: Sequence[ModelMessage]) -> Iterator[tuple[list[str], list[str]]]:
    for before, after in zip([ModelRequest(parts=[]), *messages], messages, strict=False):
        if isinstance(after, ModelRequest):
            calls = [p.tool_call_id for p in before.parts if isinstance(p, ToolCallPart)]
            yield calls, [p.tool_call_id for p in after.parts if isinstance(p, ToolReturnPart)]


@given(histories(), st.integers(0, 3000))
def test_any_history_and_any_budget(messages: list[ModelMessage], budget: int) -> None:
    for cut in (compact, relieve):
        got = cut(messages, budget, count)
        current = messages[turn_starts(messages)[-1]]
        wanted = [p for p in current.parts if isinstance(p, UserPromptPart)]
        (kept,) = [m for m in got.messages if all(p in list(m.parts) for p in wanted)][-1:]
        assert kept.parts
        assert all(calls == back for calls, back in pairs(got.messages))
        systems = [p for m in messages for p in m.parts if isinstance(p, SystemPromptPart)]
        assert [p for p in got.messages[0].parts if isinstance(p, SystemPromptPart)] == systems
        assert got.tokens == count(got.messages)
        assert got.messages[-1].kind == messages[-1].kind
        assert got.is_cut or got.messages == messages
        assert cut(messages, budget, count) == got
    exact = compact(messages, budget, count)
    assert exact.fits == (exact.tokens <= budget)
    assert exact.fits or exact.tokens <= count(messages)


def test_two_thousand_turns_are_cut_without_ado() -> None:
    got = compact(conversation(2000), 1000, count)
    assert got.fits and got.turns > 1900


# --- the whole assistant


@dataclass
class Windowed:
    """An endpoint that counts every prompt as a tokenizer would and refuses what is too long."""

    window: int
    counts: list[int] = field(default_factory=list)

    def __call__(self, behaviour: Callable[[int], Behaviour]) -> Behaviour:
        def behave(handler: Handler) -> None:
            body = json.loads(handler.server.bodies[-1])
            texts = [json.dumps(tool["function"]) for tool in body.get("tools", [])]
            for message in body["messages"]:
                calls = [call["function"] for call in message.get("tool_calls") or []]
                texts += [message.get("content") or "", *(str(call) for call in calls), "<||||>"]
            tokens = sum(len(re.findall(r"\w{1,6}|[^\w\s]", text)) for text in texts)
            self.counts.append(tokens)
            if tokens > self.window:
                status(400, f"the prompt exceeds the context window of {self.window}")(handler)
            else:
                behaviour(tokens)(handler)

        return behave


def converse(
    script: list[Behaviour],
    questions: Sequence[str],
    codebase: Path,
    journal: Journal | None = None,
    listing: int | None = None,
    **settings: Any,
) -> tuple[list[Result], list[Event], list[dict[str, Any]], Assistant]:
    events: list[Event] = []
    wanted = Settings(**{"retries": 0, "timeout": 30.0, **settings})
    with ScriptedEndpoint(script) as endpoint:
        endpoint.server.model_fields = {"meta": {"n_ctx": listing}}
        place = Endpoint(endpoint.base_url, MODEL, "none")

        async def go() -> tuple[list[Result], Assistant]:
            assistant = Assistant(wanted, place, codebase, events.append, journal=journal)
            try:
                return [await assistant.ask(question) for question in questions], assistant
            finally:
                await assistant.aclose()

        got, assistant = asyncio.run(go())
        return got, events, endpoint.requests, assistant


def long_script(window: Windowed, turns: int) -> list[Behaviour]:
    script = []
    for number in range(turns):
        start = number % 40 + 1
        look = {"path": "src/long.py", "start": start, "end": start + 8}
        script.append(window(lambda n, look=look: call("read_file", prompt_tokens=n, **look)))
        script.append(
            window(lambda n: text("It adds prices up, as the lines show.", prompt_tokens=n))
        )
    return script


def lay_out(codebase: Path) -> None:
    lines = [f"def price_{n}(basket): return basket.total({n}) + {n}\n" for n in range(80)]
    (codebase / "src" / "long.py").write_text("".join(lines))


def test_sixty_turns_in_a_small_window_never_overflow(codebase: Path) -> None:
    lay_out(codebase)
    window = Windowed(4096)
    questions = [f"Question {n}: what does price_{n} return?" for n in range(60)]
    results, events, requests, assistant = converse(
        long_script(window, 60), questions, codebase, context_window=4096, max_tokens=512
    )
    assert [result.subtype for result in results] == ["success"] * 60
    assert len(window.counts) == 120 and max(window.counts) <= 4096
    for question, request in zip(questions, requests[::2], strict=True):
        assert request["messages"][-1] == {"role": "user", "content": question}
        assert request["messages"][0] == requests[0]["messages"][0]
    told = [event for event in events if isinstance(event, Notice)]
    compacted = [result for result in results if "compacted" in result.interventions]
    assert len(told) == len(compacted) > 0
    assert all(event.details["fits"] for event in told)
    # Between two cuts the conversation only grows, so that the endpoint's cache stays good.
    sent = [json.dumps(request["messages"])[:-1] for request in requests]
    broken = sum(not b.startswith(a) for a, b in itertools.pairwise(sent))
    assert broken == len(told) <= 20
    filling = assistant.context.filling(assistant.messages)
    assert filling.free is not None and filling.used + filling.answer + filling.free == 4096


def test_a_long_turn_makes_room_within_itself(codebase: Path) -> None:
    lay_out(codebase)
    window = Windowed(3000)
    script = [
        window(
            lambda n, s=s: call(
                "read_file", prompt_tokens=n, path="src/long.py", start=s, end=s + 9
            )
        )
        for s in range(1, 60, 4)
    ]
    script.append(window(lambda n: text("All of them.", prompt_tokens=n)))
    (result,), _, requests, _ = converse(
        script, ["Read it all."], codebase, context_window=3000, max_tokens=256
    )
    assert result.subtype == "success" and "compacted" in result.interventions
    last = requests[-1]["messages"]
    assert last[1] == {"role": "user", "content": "Read it all."}
    assert "removed to make room" in last[3]["content"]
    assert "def price" in last[-1]["content"]


def test_without_a_known_window_nothing_is_cut(codebase: Path) -> None:
    lay_out(codebase)
    script = long_script(Windowed(10**9), 12)
    _, events, requests, _ = converse(script, ["Why?"] * 12, codebase)
    assert not [event for event in events if isinstance(event, Notice)]
    assert len(requests[-1]["messages"]) == 1 + 12 * 4 - 1


def test_a_window_that_the_server_names_is_kept_to(codebase: Path) -> None:
    lay_out(codebase)
    window = Windowed(4096)
    results, events, _, assistant = converse(
        long_script(window, 20), ["Why?"] * 20, codebase, max_tokens=512, listing=4096
    )
    assert [result.subtype for result in results] == ["success"] * 20
    assert max(window.counts) <= 4096 and assistant.context.window == 4096
    assert any(isinstance(event, Notice) for event in events)


def test_compacting_by_hand_and_going_on(codebase: Path, tmp_path: Path) -> None:
    lay_out(codebase)
    with Journal.create(codebase, tmp_path / "home") as journal:
        script = long_script(Windowed(10**9), 12)
        _, _, _, assistant = converse(script, ["Why?"] * 12, codebase, journal)
        before = assistant.context.tokens(assistant.messages)
        told = assistant.compact()
        after = assistant.context.tokens(assistant.messages)
        assert after < before * 0.7
        assert (told.details["tokens_before"], told.details["tokens_after"]) == (before, after)
        assert assistant.context.tokens(journal.history()) == after
        for _ in range(20):
            told = assistant.compact()
        assert "Nothing can be removed" in told.message


def test_a_resumed_session_goes_on_as_it_was_compacted(codebase: Path, tmp_path: Path) -> None:
    lay_out(codebase)
    with Journal.create(codebase, tmp_path / "home") as journal:
        _, events, _, assistant = converse(
            long_script(Windowed(4096), 20),
            ["Why?"] * 20,
            codebase,
            journal,
            context_window=4096,
            max_tokens=512,
        )
        assert any(isinstance(event, Notice) for event in events)
        texts = [
            str(part.content)
            for m in assistant.messages
            for part in m.parts
            if hasattr(part, "content")
        ]
        kept = [
            str(part.content)
            for m in journal.history()
            for part in m.parts
            if hasattr(part, "content")
        ]
        assert kept == texts
