"""Run the cases: every configuration in turn, several cases at once, each result kept at once."""

import asyncio
import hashlib
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import agent
import agent_tools
from agent.events import Result
from agent.exits import AgentError
from agent_evals import judge
from agent_evals.config import Configuration
from agent_evals.executor import Executor, Task
from agent_evals.store import Row, Store, key


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
    another: each runs the next `width` cases, at once.
    """

    task: Task
    configurations: Sequence[Configuration]
    epochs: int = 1

    def turns(self, width: int) -> Iterator[list[Item]]:
        """The results of each turn, all of one configuration; in order."""
        contents = [f"{c.content()} {code()}" for c in self.configurations]
        cases = self.task.cases
        size = len(cases) if len(contents) == 1 else width
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
        """The addresses of all results."""
        return [item.key for turn in self.turns(1) for item in turn]


@dataclass
class Runner:
    """Makes the results of a plan that are missing from a store.

    `done` hears of every result. `overhead` is the share of the time so far that was not spent
    waiting for an endpoint.
    """

    plan: Plan
    store: Store
    executor: Executor
    done: Callable[[Row], None] = lambda row: None
    _seconds: float = 0.0
    _ours: float = 0.0
    _weights: dict[str, str] = field(default_factory=dict)

    async def run(self) -> None:
        """Warm the endpoints up, which is not counted, and run what is missing.

        Raises:
            AgentError: an endpoint is gone or serves other weights than expected or than before,
                or a result cannot be written. What was finished is in the store.
        """
        self._weights = dict(self.store.weights)
        for configuration in self.plan.configurations:
            await self._warm_up(configuration)
        for turn in self.plan.turns(self.executor.width):
            missing = [item for item in turn if item.key not in self.store.keys]
            if missing:
                await self._turn(missing)

    @property
    def overhead(self) -> float:
        return self._ours / self._seconds if self._seconds else 0.0

    async def _turn(self, items: Sequence[Item]) -> None:
        waiting = iter(items)
        try:
            async with asyncio.TaskGroup() as group:
                for _ in range(min(self.executor.width, len(items))):
                    group.create_task(self._work(waiting))
        except* AgentError as errors:
            raise errors.exceptions[0] from None

    async def _work(self, waiting: Iterator[Item]) -> None:
        for item in waiting:
            begun = time.perf_counter()
            tried = await self._attempt(item)
            result = replace(
                tried, key=item.key, configuration=item.configuration.name, epoch=item.epoch
            )
            self._same(_where(item), item.configuration, result.weights)
            self.store.add(result)
            self._seconds += time.perf_counter() - begun
            self._ours += result.overhead_seconds
            self.done(result)

    async def _attempt(self, item: Item) -> Row:
        try:
            tried = await self.executor.attempt(item.case, item.configuration)
        except AgentError as error:
            raise AgentError(f"{_where(item)}{error}", error.subtype) from error
        except OSError as error:  # no room for a copy of the fixture, say
            raise AgentError(f"{_where(item)}{error}.") from error
        if tried.ended == "interrupted":  # we broke it off ourselves: no result of the model's
            raise asyncio.CancelledError
        return tried

    async def _warm_up(self, configuration: Configuration) -> None:
        name = configuration.name
        try:
            results = await self.executor.warm_up(configuration)
        except OSError as error:
            raise AgentError(f"{name}: {error}.") from error
        for result in results:
            self._check(configuration, result)

    def _check(self, configuration: Configuration, result: Result) -> None:
        """See that an endpoint answers, with the right weights."""
        name = configuration.name
        if result.subtype == "interrupted":
            raise asyncio.CancelledError
        if result.subtype in ("unavailable", "error"):
            raise AgentError(f"{name}: {result.message}", result.subtype)
        reported = result.model.get("hash")
        if reported is None and configuration.weights is not None:
            raise AgentError(
                f"{name}: the endpoint does not say which weights it serves, so they cannot be "
                f"those of the configuration, {configuration.weights}; leave out weights."
            )
        self._same(f"{name}: ", configuration, reported)

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


def _where(item: Item) -> str:
    return f"{item.configuration.name}: stopped at {item.case.id}: "


def code() -> str:
    """A hash of the program that is measured with every model, and of its judge."""
    total = hashlib.sha256()
    roots = [Path(str(package.__file__)).parent for package in (agent, agent_tools)]
    files = [path for root in roots for path in sorted(root.rglob("*.py"))]
    for path in (*files, Path(judge.__file__)):
        total.update(hashlib.sha256(path.read_bytes()).digest())
    return total.hexdigest()
