"""Where cases are tried: in this process, or on a Ray cluster (`agent_evals.ray_executor`)."""

import asyncio
import tempfile
import urllib.error
import urllib.request
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Protocol

from agent.assistant import Assistant
from agent.connect import Endpoint
from agent.events import Result
from agent.exits import AgentError
from agent.settings import Settings
from agent_evals import serving
from agent_evals.config import Configuration
from agent_evals.serving import Serving
from agent_evals.store import Row

_PATIENCE = 10.0
# Endings that a dying endpoint causes as well as a bad model.
_BROKEN = frozenset({"unavailable", "error", "truncated", "empty"})


class Task(Protocol):
    """Cases, and how one is tried; ours are `attempt.OnFixtures`.

    A case is anything with an `id`. `digest` gives the hash of its content and of what it is about.
    `attempt` never raises for a run that ends badly; who ran what when is filled in by the runner.
    """

    @property
    def cases(self) -> Sequence[Any]: ...

    def digest(self, case: Any) -> tuple[str, str]: ...

    async def attempt(self, case: Any, configuration: Configuration, endpoint: Endpoint) -> Row: ...


class Executor(Protocol):
    """Tries cases at endpoints that it finds or starts. `width`: how many at once, when open."""

    @property
    def width(self) -> int: ...

    def open(self, configurations: Sequence[Configuration]) -> None:
        """Find or start the endpoints. Raises AgentError where one cannot be had."""

    async def warm_up(self, configuration: Configuration) -> Sequence[Result]:
        """A short answer of each endpoint, so that no case pays for what it does only once."""

    async def attempt(self, case: Any, configuration: Configuration) -> Row:
        """Raises AgentError where the endpoint is gone, which is no result of the model's."""

    def close(self) -> list[dict[str, Any]]:
        """End what was started; what a manifest says of each configuration that was open."""


class Local:
    """This process, with an endpoint for each configuration, or several that share the cases."""

    def __init__(self, task: Task, width: int) -> None:
        self.width = width
        self._task = task
        self._servings: dict[str, list[Serving]] = {}

    def open(self, configurations: Sequence[Configuration]) -> None:
        for configuration in configurations:
            if configuration.name not in self._servings:
                self._servings[configuration.name] = serving.open_all(configuration, self.width)

    async def warm_up(self, configuration: Configuration) -> Sequence[Result]:
        settings = replace(configuration.settings(), max_turns=1, max_tokens=8)
        return [
            await _greet(settings, opened.endpoint) for opened in self._servings[configuration.name]
        ]

    async def attempt(self, case: Any, configuration: Configuration) -> Row:
        idlest = min(self._servings[configuration.name], key=lambda opened: opened.running)
        idlest.running += 1
        try:
            tried = await self._task.attempt(case, configuration, idlest.endpoint)
        finally:
            idlest.running -= 1
        if tried.ended in _BROKEN and not await asyncio.to_thread(_answers, idlest.endpoint):
            raise AgentError(tried.message, "unavailable")
        return tried

    def close(self) -> list[dict[str, Any]]:
        rows = []
        for servings in self._servings.values():
            for opened in servings:
                opened.close()
            costs = [opened.as_row() for opened in servings]
            rows.append(serving.highest(servings[0].configuration, costs))
        return rows


async def _greet(settings: Settings, endpoint: Endpoint) -> Result:
    with tempfile.TemporaryDirectory(prefix="agent-bench-") as scratch:
        assistant = Assistant(settings, endpoint, Path(scratch))
        try:
            return await assistant.ask("Hello")
        finally:
            await assistant.aclose()


def _answers(endpoint: Endpoint) -> bool:
    """Whether anything answers there, be it with an error."""
    request = urllib.request.Request(
        f"{endpoint.base_url}/models", headers={"Authorization": f"Bearer {endpoint.api_key}"}
    )
    try:
        with urllib.request.urlopen(request, timeout=_PATIENCE):
            return True
    except urllib.error.HTTPError:
        return True
    except OSError:
        return False
