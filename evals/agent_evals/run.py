"""Run the cases: every configuration in turn, several cases at once, each result kept at once."""

import asyncio
import hashlib
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Protocol

import agent
import agent_tools
from agent.assistant import Assistant
from agent.connect import Endpoint
from agent.events import Result
from agent.exits import AgentError
from agent_evals import judge
from agent_evals.config import Configuration
from agent_evals.serving import Serving
from agent_evals.store import Row, Store, key

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


@dataclass(frozen=True)
class Item:
    """A result that is wanted."""

    case: Any
    configuration: Configuration
    epoch: int
    key: str


@dataclass(frozen=True)
class Plan:
    """Every result that is wanted.

    The configurations take turns, so that drift of the machine hits all alike and none slows
    another: each runs the next `concurrency` cases, at once.
    """

    task: Task
    configurations: Sequence[Configuration]
    epochs: int = 1
    concurrency: int = 1

    def turns(self) -> Iterator[list[Item]]:
        """The results of each turn, all of one configuration; in order."""
        contents = [f"{c.content()} {_code()}" for c in self.configurations]
        cases = self.task.cases
        size = len(cases) if len(contents) == 1 else self.concurrency
        for epoch in range(self.epochs):
            for start in range(0, len(cases), size):
                for configuration, content in zip(self.configurations, contents, strict=True):
                    yield [
                        Item(
                            case, configuration, epoch, key(*self.task.digest(case), content, epoch)
                        )
                        for case in cases[start : start + size]
                    ]

    def keys(self) -> list[str]:
        """The addresses of all results, in order."""
        return [item.key for turn in self.turns() for item in turn]


@dataclass
class Runner:
    """Makes the results of a plan that are missing from a store.

    `done` hears of every result. `overhead` is the share of the time so far that was not spent
    waiting for an endpoint.
    """

    plan: Plan
    store: Store
    done: Callable[[Row], None] = lambda row: None
    _seconds: float = 0.0
    _ours: float = 0.0
    _weights: dict[str, str] = field(default_factory=dict)

    async def run(self, servings: Sequence[Serving]) -> None:
        """Warm the endpoints up, which is not counted, and run what is missing.

        Raises:
            AgentError: an endpoint is gone or serves other weights than expected or than before,
                or a result cannot be written. What was finished is in the store.
        """
        endpoints = {serving.configuration.name: serving.endpoint for serving in servings}
        self._weights = dict(self.store.weights)
        for serving in servings:
            await self._warm_up(serving)
        for turn in self.plan.turns():
            missing = [item for item in turn if item.key not in self.store.keys]
            if missing:
                await self._turn(missing, endpoints[missing[0].configuration.name])

    @property
    def overhead(self) -> float:
        return self._ours / self._seconds if self._seconds else 0.0

    async def _turn(self, items: Sequence[Item], endpoint: Endpoint) -> None:
        waiting = iter(items)
        try:
            async with asyncio.TaskGroup() as group:
                for _ in range(min(self.plan.concurrency, len(items))):
                    group.create_task(self._work(waiting, endpoint))
        except* AgentError as errors:
            raise errors.exceptions[0] from None

    async def _work(self, waiting: Iterator[Item], endpoint: Endpoint) -> None:
        for item in waiting:
            begun = time.perf_counter()
            try:
                tried = await self.plan.task.attempt(item.case, item.configuration, endpoint)
            except OSError as error:  # no room for a copy of the fixture, say
                raise AgentError(f"{_where(item)}{error}.") from error
            result = replace(
                tried, key=item.key, configuration=item.configuration.name, epoch=item.epoch
            )
            await self._check(item, result, endpoint)
            self.store.add(result)
            self._seconds += time.perf_counter() - begun
            self._ours += result.overhead_seconds
            self.done(result)

    async def _warm_up(self, serving: Serving) -> None:
        """One short answer, so that no case pays for what an endpoint does only once."""
        name = serving.configuration.name
        try:
            result = await _short_answer(serving)
        except OSError as error:
            raise AgentError(f"{name}: {error}.") from error
        if result.subtype == "interrupted":
            raise asyncio.CancelledError
        if result.subtype in ("unavailable", "error"):
            raise AgentError(f"{name}: {result.message}", result.subtype)
        reported = result.model.get("hash")
        if reported is None and serving.configuration.weights is not None:
            raise AgentError(
                f"{name}: the endpoint does not say which weights it serves, so they cannot be "
                f"those of the configuration, {serving.configuration.weights}; leave out weights."
            )
        self._same(f"{name}: ", serving.configuration, reported)

    async def _check(self, item: Item, run: Row, endpoint: Endpoint) -> None:
        """A dead endpoint is no result of the model's; nor is a run that we broke off ourselves."""
        if run.ended == "interrupted":
            raise asyncio.CancelledError
        if run.ended in _BROKEN and not await asyncio.to_thread(_answers, endpoint):
            raise AgentError(f"{_where(item)}{run.message}", "unavailable")
        self._same(_where(item), item.configuration, run.weights)

    def _same(self, where: str, configuration: Configuration, reported: str | None) -> None:
        """See that the weights are those of the configuration, and those that answered before."""
        if reported is None:
            return
        if configuration.weights not in (None, reported):
            raise AgentError(
                f"{where}the endpoint serves the weights {reported}, "
                f"but the configuration says {configuration.weights}."
            )
        first = self._weights.setdefault(configuration.name, reported)
        if reported != first:
            raise AgentError(
                f"{where}the endpoint answered with the weights {reported}, but the results so far "
                f"are of {first}; serve those again, or start anew with --fresh."
            )


async def _short_answer(serving: Serving) -> Result:
    settings = replace(serving.configuration.settings(), max_turns=1, max_tokens=8)
    with tempfile.TemporaryDirectory(prefix="agent-bench-") as scratch:
        assistant = Assistant(settings, serving.endpoint, Path(scratch))
        try:
            return await assistant.ask("Hello")
        finally:
            await assistant.aclose()


def _where(item: Item) -> str:
    return f"{item.configuration.name}: stopped at {item.case.id}: "


def _code() -> str:
    """A hash of the program that is measured with every model, and of its judge."""
    total = hashlib.sha256()
    roots = [Path(str(package.__file__)).parent for package in (agent, agent_tools)]
    files = [path for root in roots for path in sorted(root.rglob("*.py"))]
    for path in (*files, Path(judge.__file__)):
        total.update(hashlib.sha256(path.read_bytes()).digest())
    return total.hexdigest()


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
