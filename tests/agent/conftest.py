"""A small codebase and ways to put the assistant in front of a scripted endpoint."""

import asyncio
import os
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from agent.assistant import Assistant
from agent.connect import Endpoint
from agent.events import Event, Result
from agent.permissions import Asker
from agent.settings import Settings
from tests.scripted_endpoint import MODEL, Behaviour, ScriptedEndpoint


@pytest.fixture
def codebase(tmp_path: Path) -> Path:
    root = tmp_path / "shop"
    (root / "src").mkdir(parents=True)
    (root / "src" / "basket.py").write_text(
        "class Basket:\n    def total(self):\n        return 0\n"
    )
    (root / "src" / "price.py").write_text("class Price:\n    pass\n")
    (root / "README.md").write_text("# Shop\n")
    return root


@dataclass
class Outcome:
    """What a run came to, what it told, and what the endpoint was asked."""

    result: Result
    events: list[Event]
    requests: list[dict[str, Any]]
    bodies: list[bytes]

    @property
    def shown(self) -> str:
        return self.result.result

    def calls(self) -> list[tuple[str, str]]:
        return [(call.name, call.outcome) for call in self.result.tool_calls]


Run = Callable[..., Outcome]


@pytest.fixture
def run(codebase: Path) -> Run:
    def go(
        script: Sequence[Behaviour],
        question: str = "Where is Basket defined?",
        asker: Asker | None = None,
        **settings: Any,
    ) -> Outcome:
        wanted = Settings(**{"retries": 0, "timeout": 30.0, **settings})
        events: list[Event] = []
        with ScriptedEndpoint(script) as endpoint:

            async def ask() -> Result:
                place = Endpoint(endpoint.base_url, MODEL, "none")
                assistant = Assistant(wanted, place, codebase, events.append, asker)
                try:
                    return await assistant.ask(question)
                finally:
                    await assistant.aclose()

            result = asyncio.run(ask())
            return Outcome(result, events, endpoint.requests, endpoint.bodies)

    return go


Command = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture
def command(codebase: Path, tmp_path: Path) -> Command:
    """The installed command, in the codebase, in an empty home."""

    def go(*arguments: str, **options: Any) -> "subprocess.CompletedProcess[str]":
        settings = {"cwd": codebase, "env": environment(tmp_path), "stdin": subprocess.DEVNULL}
        if "input" in options:
            del settings["stdin"]
        return subprocess.run(
            [sys.executable, "-m", "agent", *arguments],
            **{"capture_output": True, "text": True, "check": False, **settings, **options},
        )

    return go


def environment(home: Path, **more: str) -> dict[str, str]:
    """The environment without anything of the person who runs the tests."""
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("AGENT_", "XDG_", "OPENAI_"))}
    return {**kept, "HOME": str(home), "XDG_CONFIG_HOME": str(home / "config"), **more}
