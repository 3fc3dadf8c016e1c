"""A cold `agent ask` with the embedded model: seconds and peak memory on two cores."""

import json
import os
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

from agent.serving import weights
from agent_evals.speed.measure import Line, Options, SpeedError, plain_environment, python

_QUESTION = "Where is the class Gauge defined?"
_FILE = '"""Sensors."""\n\n\nclass Gauge:\n    """A pressure gauge."""\n'
_CORES = 2
_MEBI = 1 << 20


@dataclass(frozen=True)
class Cost:
    """One run: wall seconds, and the largest resident memory of the process in MiB."""

    seconds: float
    mebibytes: float


def lines(options: Options) -> list[Line]:
    """Against what we aim at; the process starts anew each time, files may be in the page cache."""
    try:
        weights.check(options.model)
    except weights.LoadError as error:
        raise SpeedError(str(error)) from None
    with tempfile.TemporaryDirectory() as scratch:
        (Path(scratch) / "sensors.py").write_text(_FILE, encoding="utf-8")
        costs = [ask(options.model, Path(scratch)) for _ in range(min(options.repeats, 3))]
    time_taken = median(cost.seconds for cost in costs)
    memory = max(cost.mebibytes for cost in costs)
    return [
        Line("cold agent ask, one grep", time_taken, 5, "s", "our aim", "<=", 1),
        Line("its peak memory", memory, 700, "MiB", "our aim", "<=", 1),
    ]


def ask(model: str, directory: Path) -> Cost:
    """Ask in a new process.

    Raises:
        SpeedError: with the embedded model no tool was called, so it was no such question.
    """
    chosen = [] if model == weights.EMBEDDED else ["--model", model, "--keep-alive", "0"]
    flags = ("-C", str(directory), "--output-format", "json", *chosen)
    with tempfile.TemporaryFile() as said:
        begun = time.perf_counter()
        process = subprocess.Popen(
            python("-m", "agent", "ask", "--no-session", *flags, _QUESTION),
            stdin=subprocess.DEVNULL,
            stdout=said,
            stderr=subprocess.STDOUT,
            env=plain_environment(XDG_CONFIG_HOME=str(directory)),
            preexec_fn=_on_two_cores,
        )
        usage = os.wait4(process.pid, 0)[2]
        taken = time.perf_counter() - begun
        process.returncode = 0  # wait4 has already collected it
        said.seek(0)
        result = _result(said.read().decode(errors="replace"))
    if model == weights.EMBEDDED and not result["tool_calls"]:
        raise SpeedError(f"the model called no tool: {result['subtype']}, {result['result']!r}")
    in_bytes = usage.ru_maxrss if sys.platform == "darwin" else usage.ru_maxrss * 1024
    return Cost(taken, in_bytes / _MEBI)


def _on_two_cores() -> None:
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:_CORES])


def _result(text: str) -> dict[str, Any]:
    for line in text.splitlines():
        if line.startswith("{"):
            found: dict[str, Any] = json.loads(line)
            return found
    raise SpeedError(f"agent ask gave no result: {text.strip()[-300:]}")
