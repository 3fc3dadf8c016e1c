"""What runs on a node of a Ray cluster; see `agent_evals.ray_executor`."""

import asyncio
import io
import os
import tarfile
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from agent.events import Result
from agent_evals.attempt import OnFixtures
from agent_evals.config import Configuration
from agent_evals.executor import Local, Task
from agent_evals.run import code
from agent_evals.store import Row


class Station:
    """Tries cases on a node; an actor."""

    def __init__(
        self, task: Task, fixtures: bytes, width: int, environment: Mapping[str, str]
    ) -> None:
        os.environ.update(environment)
        # Ray sets 1; an endpoint takes all cores, as it does without Ray.
        os.environ["OMP_NUM_THREADS"] = str(os.cpu_count())
        self._scratch = tempfile.TemporaryDirectory(prefix="agent-bench-")
        if isinstance(task, OnFixtures):
            with tarfile.open(fileobj=io.BytesIO(fixtures)) as archive:
                archive.extractall(self._scratch.name, filter="tar")
            task = replace(task, fixtures=Path(self._scratch.name))
        self._task = task
        self._local = Local(task, width)
        self._room = asyncio.Semaphore(width)
        self._opening = asyncio.Lock()

    async def program(self) -> tuple[str, ...]:
        return program(self._task)

    async def warm_up(self, configuration: Configuration) -> Sequence[Result]:
        await self._open(configuration)
        return await self._local.warm_up(configuration)

    async def attempt(self, case: Any, configuration: Configuration) -> tuple[Row, float]:
        """The result, and the seconds that it took here."""
        begun = time.perf_counter()
        await self._open(configuration)
        async with self._room:
            row = await self._local.attempt(case, configuration)
        return row, time.perf_counter() - begun

    async def close(self) -> list[dict[str, Any]]:
        costs = await asyncio.to_thread(self._local.close)
        self._scratch.cleanup()
        return costs

    async def _open(self, configuration: Configuration) -> None:
        async with self._opening:
            await asyncio.to_thread(self._local.open, [configuration])


def program(task: Task) -> tuple[str, ...]:
    """What decides a result besides the configuration: our code, a case and its fixture."""
    return code(), *task.digest(task.cases[0])


def packed(task: Task) -> bytes:
    """The codebases that the cases are about, as an archive."""
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as archive:
        if isinstance(task, OnFixtures):
            for name in sorted({case.fixture for case in task.cases}):
                archive.add(task.fixtures / name, name)
    return packed.getvalue()
