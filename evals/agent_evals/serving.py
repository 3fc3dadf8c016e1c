"""The endpoint of a configuration: the one it names, or a process of its own that serves it.

A process for each model, so that its memory is its own, that it does not slow the harness, and that
it ends with us however we end: its standard input is closed then.
"""

import json
import os
import resource
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any

from agent import connect
from agent.connect import Endpoint
from agent.exits import AgentError
from agent_evals.config import Configuration

_END_SECONDS = 10.0
_TINY_BYTES = 100_000_000
_FULL_BATCH = 4
"""Cases at once from which a batch is worth a process."""


@dataclass
class Costs:
    """What a model takes: None where it is served by others."""

    disk_bytes: int | None = None
    load_seconds: float | None = None
    peak_memory_bytes: int | None = None


@dataclass
class Serving:
    """A configuration with its endpoint; `costs` is whole once it is closed."""

    configuration: Configuration
    endpoint: Endpoint
    costs: Costs = field(default_factory=Costs)
    _process: "subprocess.Popen[str] | None" = field(default=None, repr=False)
    running: int = 0
    """Cases at it right now."""

    def close(self) -> None:
        """End the process, if there is one; safe to call twice."""
        process, self._process = self._process, None
        if process is None:
            return
        assert process.stdin is not None and process.stdout is not None
        with suppress(OSError, ValueError):
            process.stdin.write("peak\n")
            process.stdin.flush()
            self.costs.peak_memory_bytes = int(process.stdout.readline())
        with suppress(OSError):
            process.stdin.close()
        try:
            process.wait(_END_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        process.stdout.close()

    def as_row(self) -> dict[str, Any]:
        """What a manifest says of it."""
        return described(self.configuration, self.endpoint.model, self.costs)


def described(
    configuration: Configuration, served: str | None = None, costs: Costs | None = None
) -> dict[str, Any]:
    """What a manifest says of a configuration; `served`: the model id at its endpoint."""
    return {**asdict(configuration), "served": served, **asdict(costs or Costs())}


def highest(configuration: Configuration, rows: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """What a manifest says of a configuration that was served several times: the highest costs."""
    mine = [row for row in rows if row["name"] == configuration.name]
    served = mine[0]["served"] if mine else None
    names = [cost.name for cost in fields(Costs)]
    known = {name: [row[name] for row in mine if row[name] is not None] for name in names}
    costs = Costs(**{name: max(values, default=None) for name, values in known.items()})
    return described(configuration, served, costs)


def open_(configuration: Configuration, threads: int | None = None) -> Serving:
    """Connect to the endpoint of a configuration, or start one and wait until it is ready.

    `threads`: of its matrix products on a CPU; None: one for every core.

    Raises:
        AgentError: nothing answers, or the model cannot be loaded; names the configuration.
    """
    try:
        if not configuration.is_ours:
            return Serving(configuration, connect.connect(configuration.settings()))
        return _start(configuration, threads)
    except AgentError as error:
        raise AgentError(f"{configuration.name}: {error}", error.subtype) from None


def open_all(configuration: Configuration, width: int) -> list[Serving]:
    """As `open_`, for `width` cases at once.

    On a plain CPU a batch of a tiny model keeps one core busy, whatever its size, so where there
    are cores and cases for it a second process or more share the cases.
    """
    cores = len(os.sched_getaffinity(0)) if sys.platform == "linux" else 1
    copies = min(cores, width // _FULL_BATCH)
    if copies < 2 or not _is_tiny(configuration):
        return [open_(configuration)]
    with ThreadPoolExecutor(copies) as pool:
        return list(pool.map(lambda _: open_(configuration, cores // copies), range(copies)))


def _is_tiny(configuration: Configuration) -> bool:
    from agent.serving import weights

    ref = configuration.model or weights.EMBEDDED
    if not configuration.is_ours or not (ref == weights.EMBEDDED or Path(ref).is_dir()):
        return False
    return weights.disk_bytes(ref, configuration.adapter) <= _TINY_BYTES


def _start(configuration: Configuration, threads: int | None) -> Serving:
    begun = time.perf_counter()
    limit = {} if threads is None else {"OPENBLAS_NUM_THREADS": str(threads)}
    process = subprocess.Popen(
        [sys.executable, "-P", "-m", "agent_evals.serving"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
        env={**os.environ, **limit},
    )
    assert process.stdin is not None and process.stdout is not None
    try:
        order = {"model": configuration.model or "embedded", "adapter": configuration.adapter}
        process.stdin.write(json.dumps(order) + "\n")
        process.stdin.flush()
        said = json.loads(process.stdout.readline() or "{}")
    except BaseException:
        process.kill()
        raise
    if "base_url" not in said:
        process.kill()
        process.wait()
        raise AgentError(said.get("error") or "its endpoint did not start.", "unavailable")
    endpoint = Endpoint(
        said["base_url"], said["model"], said["token"], embedded=configuration.is_embedded
    )
    costs = Costs(said["disk_bytes"], round(time.perf_counter() - begun, 3))
    return Serving(configuration, endpoint, costs, process)


def main() -> None:
    """The serving process: its order is the first line on standard input, its answers go to
    standard output, and it ends when its input does."""
    from agent.serving import local, weights

    order = json.loads(sys.stdin.readline())
    try:
        served = local.start(order["model"], order["adapter"])
        served.wait_ready()
    except weights.LoadError as error:
        print(json.dumps({"error": f"{error}."}), flush=True)
        return
    ready = {
        "base_url": served.base_url,
        "token": served.token,
        "model": served.model,
        "disk_bytes": weights.disk_bytes(order["model"], order["adapter"]),
    }
    print(json.dumps(ready), flush=True)
    for _ in sys.stdin:
        print(peak_memory(), flush=True)
    os._exit(0)  # requests that nobody waits for any more must not keep the process


def peak_memory() -> int:
    """The most memory that this process ever had resident, in bytes."""
    with suppress(OSError):
        for line in Path("/proc/self/status").read_text().splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * 1024
    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return most if sys.platform == "darwin" else most * 1024


if __name__ == "__main__":
    main()
