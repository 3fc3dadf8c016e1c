"""Cases spread over a Ray cluster.

On each node a station, an actor of ours, tries cases as `executor.Local` does here: at endpoints of
its own, or at one that all share. A station that is lost, alone or with its node, is no result: its
cases are tried again elsewhere. Only the driver, this process, keeps results.
"""

import asyncio
import os
import subprocess
import sys
import time
from collections.abc import Collection, Sequence
from contextlib import ExitStack, redirect_stdout, suppress
from dataclasses import dataclass, replace
from typing import Any

from agent.events import Result
from agent.exits import AgentError
from agent_evals import serving
from agent_evals.config import Configuration
from agent_evals.executor import Task
from agent_evals.paired import needed
from agent_evals.station import Station, packed, program
from agent_evals.store import Row

_TRIES = 3
_END_SECONDS = 30.0
# Read by Ray as it is imported: nothing is sent to its makers, nor this directory to the nodes.
_ENVIRONMENT = {"RAY_USAGE_STATS_ENABLED": "0", "RAY_ENABLE_UV_RUN_RUNTIME_ENV": "0"}


def load() -> Any:
    """The module `ray`. Raises AgentError where it is not installed."""
    os.environ.update(_ENVIRONMENT)
    return needed("ray", "ray")


@dataclass(eq=False)
class _Post:
    """A station as the driver knows it; `busy`: cases it is trying."""

    node: str
    address: str
    actor: Any
    busy: int = 0


class _Lost(Exception):
    """A station is gone, or its endpoint."""


class OnRay:
    """The nodes of a cluster that have CPUs to give; an `executor.Executor`."""

    def __init__(self, task: Task, width: int, address: str | None) -> None:
        """`width`: cases at once on each node. Raises AgentError if Ray is not installed."""
        self._ray = load()
        self._task = task
        self._width = width
        self._address = address or os.environ.get("RAY_ADDRESS")
        self._configurations: Sequence[Configuration] = ()
        self._parts: list[Any] = []
        self._posts: list[_Post] = []
        self._kept = ExitStack()

    @property
    def width(self) -> int:
        return self._width * len(self._posts)

    def open(self, configurations: Sequence[Configuration]) -> None:
        self._kept.enter_context(redirect_stdout(sys.stderr))  # where Ray tells of dead nodes
        self._connect()
        self._configurations = configurations
        names = {one.api_key_env for one in configurations if not one.is_ours}
        environment = {name: os.environ[name] for name in names if name in os.environ}
        parts = (self._task, packed(self._task), self._width, environment)
        self._parts = [self._ray.put(part) for part in parts]
        self._posts = [self._post(*node) for node in self._nodes().items()]
        if not self._posts:
            raise AgentError("No node of the Ray cluster has a CPU to give.", "unavailable")
        for post in self._posts:
            self._check(post)

    async def warm_up(self, configuration: Configuration) -> Sequence[Result]:
        asked = (self._ask(post, "warm_up", configuration) for post in self._posts)
        try:
            found = await asyncio.gather(*asked)
        except _Lost as error:
            raise AgentError(str(error), "unavailable") from None
        return [result for results in found for result in results]

    async def attempt(self, case: Any, configuration: Configuration) -> Row:
        nodes: set[str] = set()
        for _ in range(_TRIES):
            post = self._choose(nodes)
            nodes.add(post.node)
            begun = time.perf_counter()
            post.busy += 1
            try:
                row: Row
                row, seconds = await self._ask(post, "attempt", configuration, case)
            except _Lost as error:
                reason = str(error)
                self._replace(post)
            else:
                ways = time.perf_counter() - begun - seconds
                return replace(row, overhead_seconds=row.overhead_seconds + max(0.0, ways))
            finally:
                post.busy -= 1
        raise AgentError(f"tried {_TRIES} times; the last time: {reason}", "unavailable")

    def close(self) -> list[dict[str, Any]]:
        costs: list[dict[str, Any]] = []
        for post in self._posts:
            with suppress(self._ray.exceptions.RayError):
                costs += self._ray.get(post.actor.close.remote(), timeout=_END_SECONDS)
        self._ray.shutdown()
        self._kept.close()
        return [serving.highest(one, costs) for one in self._configurations]

    def _connect(self) -> None:
        address = self._address
        if address not in (None, "local") and not _is_cluster(address):
            raise AgentError(
                f"No Ray cluster answers at {address}; --ray-address is the host:port that "
                "`ray start --head` tells.",
                "unavailable",
            )
        try:
            self._ray.init(address, log_to_driver=False, logging_level="ERROR")
        except (ConnectionError, RuntimeError, ValueError) as error:
            raise AgentError(f"Ray: {' '.join(str(error).split())}", "unavailable") from None

    def _nodes(self) -> dict[str, str]:
        """The addresses of the nodes that live and have CPUs, by their ids."""
        return {
            node["NodeID"]: node["NodeManagerAddress"]
            for node in self._ray.nodes()
            if node["Alive"] and node["Resources"].get("CPU", 0) > 0
        }

    def _post(self, node: str, address: str) -> _Post:
        strategies = needed("ray.util.scheduling_strategies", "ray")
        there = strategies.NodeAffinitySchedulingStrategy(node, soft=False)
        # No CPU is asked for: a station must not wait for one.
        station = self._ray.remote(Station).options(num_cpus=0, scheduling_strategy=there)
        return _Post(node, address, station.remote(*self._parts))

    def _check(self, post: _Post) -> None:
        """See that the same program and the same cases are there."""
        install = "install what is installed here there, with the extra `ray`"
        try:
            found = self._ray.get(post.actor.program.remote())
        except self._ray.exceptions.RayError as error:
            reason = str(error).strip().splitlines()[-1]
            raise AgentError(f"The Ray node {post.address} fails ({reason}); {install}.") from None
        if found != program(self._task):
            raise AgentError(f"The Ray node {post.address} has another agent; {install}.")

    def _choose(self, avoided: Collection[str]) -> _Post:
        """The least busy station, on another node than these if there is one."""
        if not self._posts:
            raise AgentError("no node of the Ray cluster is left.", "unavailable")
        elsewhere = [post for post in self._posts if post.node not in avoided]
        return min(elsewhere or self._posts, key=lambda post: post.busy)

    async def _ask(self, post: _Post, method: str, configuration: Configuration, *case: Any) -> Any:
        try:
            return await getattr(post.actor, method).remote(*case, configuration.anywhere())
        except self._ray.exceptions.RayTaskError as error:
            cause = error.cause
            if not isinstance(cause, AgentError | OSError):
                raise
            if configuration.is_ours and getattr(cause, "subtype", None) == "unavailable":
                raise _Lost(f"the node {post.address}: {cause}") from None
            raise cause from None
        except self._ray.exceptions.RayError:
            raise _Lost(f"the worker on the node {post.address} was lost.") from None

    def _replace(self, post: _Post) -> None:
        """A new station if the node lives; several cases may tell of one loss."""
        if post not in self._posts:
            return
        self._posts.remove(post)
        self._ray.kill(post.actor)
        nodes = self._nodes()
        if post.node in nodes:
            self._posts.append(self._post(post.node, nodes[post.node]))


def _is_cluster(address: str) -> bool:
    """Asked in a process of its own, because `ray.init` would wait for one for ever."""
    command = [sys.executable, "-P", "-m", "ray.scripts.scripts", "status", "--address", address]
    environment = {**os.environ, "RAY_py_gcs_connect_timeout_s": "5"}
    done = subprocess.run(
        command, env=environment, stdin=subprocess.DEVNULL, capture_output=True, check=False
    )
    return done.returncode == 0
