"""What fills the window is said honestly, as the model's own template reads it."""

import asyncio
from pathlib import Path
from typing import Any

import pytest
from openai import AsyncOpenAI
from pydantic_ai import ToolDefinition
from pydantic_ai.messages import (
    ModelMessage,
    ModelRequest,
    ModelResponse,
    TextPart,
    ThinkingPart,
    ToolCallPart,
    ToolReturnPart,
    UserPromptPart,
)

from agent.assistant import Assistant
from agent.connect import Endpoint
from agent.context import EMBEDDED, Context, window_of
from agent.settings import Settings
from agent.windows import claimed, window_in
from tests.scripted_endpoint import MODEL, ScriptedEndpoint, text

EMBEDDED_MODEL = Path(__file__).parents[2] / "src" / "agent" / "embedded"
TOOL = ToolDefinition(name="grep", description="d" * 300, parameters_json_schema={"type": "object"})


def turn(question: str, result: str, answer: str) -> list[ModelMessage]:
    return [
        ModelRequest(parts=[UserPromptPart(question)]),
        ModelResponse(parts=[ThinkingPart("t" * 900), ToolCallPart("grep", {"pattern": "x"}, "1")]),
        ModelRequest(parts=[ToolReturnPart("grep", result, "1")]),
        ModelResponse(parts=[TextPart(answer)]),
    ]


def test_every_part_is_counted_once() -> None:
    context = Context(4096, system="s" * 300, agents_md="a" * 600, max_tokens=1000)
    context.offer([TOOL])
    messages = [*turn("q" * 300, "r" * 900, "w" * 300), *turn("Q" * 600, "R" * 300, "W" * 30)]
    got = context.filling(messages)
    assert (got.system, got.agents_md) == (100, 200)
    assert 100 < got.tools < 150
    assert 200 <= got.question < 210
    assert 400 <= got.results < 410
    assert 210 < got.history < 260
    assert got.window == 4096 and got.answer == 1000
    assert got.used + got.answer + (got.free or 0) == 4096
    assert got.used == context.tokens(messages) + got.system + got.agents_md + got.tools
    assert [name for name, _ in got.rows()] == [
        "system prompt",
        "AGENTS.md",
        "tools",
        "question",
        "history",
        "tool results",
        "kept for the answer",
        "free",
    ]


def test_what_is_free_is_unknown_with_the_window() -> None:
    context = Context(max_tokens=1000)
    assert context.filling(()).free is None and context.room() is None


def test_a_small_window_is_not_all_kept_for_the_answer() -> None:
    assert Context(4096, max_tokens=2048).answer == 1024
    assert Context(100_000, max_tokens=2048).answer == 2048


def test_the_estimate_follows_what_the_endpoint_counts() -> None:
    context = Context(8192, system="s" * 3000)
    messages = turn("q" * 3000, "r" * 3000, "w" * 3000)
    before = context.filling(messages).used
    context.learn(messages, before * 2)
    assert context.filling(messages).used == pytest.approx(before * 2, abs=5)
    context.learn(messages, before)
    assert context.filling(messages).used == pytest.approx(before, abs=5)


@pytest.mark.parametrize("reported", [0, 1, 10**9])
def test_a_count_that_cannot_be_is_not_believed(reported: int) -> None:
    context = Context(8192, system="s" * 3000)
    before = context.filling(()).used
    context.learn((), reported)
    assert before // 2 <= context.filling(()).used <= before * 4
    context.learn(turn("short", "", ""), 0)


def test_the_tools_are_counted_before_the_first_question(codebase: Path) -> None:
    (codebase / "AGENTS.md").write_text("Prices are in cents.\n" * 20)
    place = Endpoint("http://127.0.0.1:1/v1", "none", "none")
    assistant = Assistant(Settings(context_window=8192), place, codebase)
    got = assistant.context.filling(assistant.messages)
    assert got.tools > 300 and got.agents_md > 100 and got.system > 100
    assert got.question == got.history == got.results == 0


def test_nobody_is_told_that_the_embedded_model_reads_agents_md(codebase: Path) -> None:
    (codebase / "AGENTS.md").write_text("Prices are in cents.\n" * 2000)
    place = Endpoint("http://127.0.0.1:1/v1", "embedded", "none", embedded=True)
    assistant = Assistant(Settings(), place, codebase)
    assert assistant.instructions.text == assistant.instructions.note == ""
    assert "neither the system prompt nor AGENTS.md" in assistant.context.filling(()).note


def test_the_window_is_the_setting_or_that_of_the_embedded_model() -> None:
    remote = Endpoint("http://127.0.0.1:1/v1", "none", "none")
    own = Endpoint("http://127.0.0.1:1/v1", "embedded", "none", embedded=True)
    assert window_of(Settings(context_window=5000), own) == 5000
    assert window_of(Settings(), remote) is None
    assert window_of(Settings(), own) == 2048


def test_the_embedded_models_template_keeps_what_the_accounting_says() -> None:
    """Letters that occur nowhere else, counted in what the template really renders."""
    from agent.serving.lean import LeanTokenizer

    def said(role: str, content: str, **more: Any) -> dict[str, Any]:
        return {"role": role, "content": content, **more}

    call = {"function": {"name": "grep", "arguments": {"pattern": "x"}}}
    many = 5000
    letters = "ΑΒΓΔΕΖΗΘΙΚ"
    system, older, reply, question, result, answer, now, back, schema, saying = letters
    messages = [
        said("system", system * many),
        said("user", older * many),
        said("assistant", reply * many),
        said("user", question * many),
        said("assistant", "", tool_calls=[call]),
        said("tool", result * many),
        said("assistant", answer * many),
        said("user", now * many),
        said("assistant", saying * many, tool_calls=[call]),
        said("tool", back * many),
    ]
    tools = [{"type": "function", "function": {"name": "grep", "description": schema * many}}]
    tokenizer = LeanTokenizer(EMBEDDED_MODEL, None)
    prompt = tokenizer.apply_chat_template(messages, tools, True, False)
    kept = {letter: prompt.count(letter) for letter in letters}
    assert not EMBEDDED.prompt
    assert kept == {
        **dict.fromkeys((system, older, reply, result, schema), 0),
        **dict.fromkeys((question, answer), EMBEDDED.before),
        **dict.fromkeys((now, saying), many),
        back: EMBEDDED.result,
    }
    assert "grep" in prompt
    assert str(EMBEDDED.before) in EMBEDDED.note and str(EMBEDDED.result) in EMBEDDED.note


def test_what_the_embedded_model_does_not_read_is_not_counted() -> None:
    context = Context(2048, EMBEDDED, system="s" * 3000, agents_md="a" * 3000)
    context.offer([TOOL])
    long = turn("q" * 900, "r" * 9000, "w" * 900)
    last = [*turn("Q" * 900, "R" * 9000, "")[:3]]
    got = context.filling([*long, *long, *last])
    assert (got.system, got.agents_md) == (0, 0)
    assert got.tools < 5
    assert 300 <= got.question < 310
    assert 200 < got.history < 240
    assert 500 <= got.results < 510
    assert "neither the system prompt nor AGENTS.md" in got.note


@pytest.mark.parametrize(
    ("entry", "window"),
    [
        ({"context_window": 2048}, 2048),
        ({"max_model_len": 4096}, 4096),
        ({"loaded_context_length": 4096, "max_context_length": 131072}, 4096),
        ({"meta": {"n_ctx": 512}}, 512),
        ({"context_window": "large", "meta": None}, None),
        ({"context_window": True}, None),
        ({"context_window": 10**18}, None),
        ({}, None),
    ],
)
def test_servers_spell_their_window_in_many_ways(entry: dict[str, Any], window: int | None) -> None:
    assert window_in(entry) == window


@pytest.mark.parametrize("page", [None, "<html></html>", "[]", '{"data": 3}', '{"data": [7]}'])
def test_a_server_that_names_no_window_is_no_problem(page: str | None) -> None:
    async def ask(url: str) -> int | None:
        async with AsyncOpenAI(base_url=url, api_key="none", max_retries=0) as client:
            return await claimed(client, MODEL)

    with ScriptedEndpoint([text("Done.")]) as endpoint:
        endpoint.server.models_page = page
        assert asyncio.run(ask(endpoint.base_url)) is None
    assert asyncio.run(ask(endpoint.base_url)) is None
