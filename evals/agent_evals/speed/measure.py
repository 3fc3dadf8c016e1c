"""What every section shares: a line of the table, medians, and child processes."""

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Literal

_DEADLINE = 600.0


class SpeedError(Exception):
    """A section that cannot be measured; the message says why."""


@dataclass(frozen=True)
class Options:
    """The model's reference and how often everything is measured."""

    model: str = "embedded"
    repeats: int = 5


@dataclass(frozen=True)
class Line:
    """A figure. `ratio` is ours divided by the rival's; `target` bounds it from that side."""

    what: str
    ours: float
    rival: float
    unit: str
    against: str
    bound: Literal["<=", ">="]
    target: float

    @property
    def ratio(self) -> float:
        return self.ours / self.rival

    @property
    def met(self) -> bool:
        """Whether the target is reached."""
        return self.ratio <= self.target if self.bound == "<=" else self.ratio >= self.target


def row(line: Line) -> list[str]:
    """The line as cells of the table."""
    return [
        line.what,
        f"{_figure(line.ours)} {line.unit}",
        f"{line.against} {_figure(line.rival)} {line.unit}",
        f"{line.ratio:.2f}x",
        f"{line.bound} {line.target:g}x",
        "met" if line.met else "missed",
    ]


def _figure(value: float) -> str:
    return f"{value:.0f}" if value >= 100 else f"{value:.1f}" if value >= 10 else f"{value:.3g}"


def seconds(work: Callable[[], object]) -> float:
    """Wall time of one call."""
    begun = time.perf_counter()
    work()
    return time.perf_counter() - begun


def interleaved(
    repeats: int, ours: Callable[[], float], rival: Callable[[], float]
) -> tuple[float, float]:
    """Medians of both, taken in turns so that drift hits both alike; the first turn is warm-up."""
    turns = [(ours(), rival()) for _ in range(repeats + 1)][1:]
    return median(mine for mine, _ in turns), median(theirs for _, theirs in turns)


def python(*arguments: str) -> list[str]:
    """A command of this very Python."""
    return [sys.executable, *arguments]


def plain_environment(**more: str) -> dict[str, str]:
    """This environment without our own variables, so that a user's settings do not count."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("AGENT_")}
    return {**kept, **more}


def output(command: Sequence[str], env: Mapping[str, str] | None = None) -> str:
    """The standard output of a command.

    Raises:
        SpeedError: it fails; the message ends with what it said last.
    """
    done = subprocess.run(
        command,
        capture_output=True,
        text=True,
        timeout=_DEADLINE,
        env=env,
        stdin=subprocess.DEVNULL,
    )
    if done.returncode:
        said = (done.stderr.strip() or done.stdout.strip()).splitlines()
        raise SpeedError(f"{' '.join(command[:4])} … exits {done.returncode}: {said[-1:] or ''}")
    return done.stdout


@contextmanager
def running(command: Sequence[str], log: Path) -> Iterator["subprocess.Popen[bytes]"]:
    """A server as long as the block lasts; what it says goes to `log`."""
    with log.open("wb") as said:
        process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=said, stderr=said, env=plain_environment()
        )
        try:
            yield process
        finally:
            process.terminate()
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
