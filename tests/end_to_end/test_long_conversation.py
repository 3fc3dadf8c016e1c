"""A conversation with the model that ships: its small window never overflows."""

import asyncio
from pathlib import Path

from agent import connect
from agent.assistant import Assistant
from agent.context import Filling
from agent.events import Result
from agent.settings import Settings

QUESTIONS = (
    "where is the tide computed?",
    "list all python files",
    "show me the README",
    "which classes are there?",
    "what is a race condition?",
    "who calls it?",
)
_UNFIT = {"context_overflow", "unavailable", "error"}


def test_six_turns_with_the_embedded_model(codebase: Path) -> None:
    settings = Settings(permission_mode="read-only")
    endpoint = connect.connect(settings)
    try:

        async def talk() -> list[tuple[Result, Filling]]:
            assistant = Assistant(settings, endpoint, codebase)
            try:
                return [
                    (await assistant.ask(question), assistant.context.filling(assistant.messages))
                    for question in QUESTIONS
                ]
            finally:
                await assistant.aclose()

        told = asyncio.run(talk())
    finally:
        endpoint.close()
    assert not [result for result, _ in told if result.subtype in _UNFIT]
    for _, filling in told:
        assert filling.window == 2048 and filling.used < 2048
        assert filling.system == filling.agents_md == 0
        assert "nothing older" in filling.note
