"""The training loop, the same on every backend: batches, schedule, checkpoints, sanity checks."""

from __future__ import annotations

import json
import math
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from agent_training.batches import Batch, Example, epoch

REPORT_SECONDS, SAVE_SECONDS = 20, 300


@dataclass(frozen=True)
class Schedule:
    """Learning rates of one phase: warm-up, plateau, linear decay over the last `decay` share."""

    tokens: float
    matrix_lr: float = 0.02
    other_lr: float = 3e-3
    warmup: float = 0.01
    decay: float = 0.5
    tokens_per_batch: int = 4096
    dropout: float = 0.0
    """Of what enters the first layer and what leaves the last one, while training."""
    seed: int = 0

    def multiplier(self, progress: float) -> float:
        rising = min(1.0, (progress + 1e-4) / self.warmup)
        falling = min(1.0, max(0.0, (1.0 - progress) / self.decay))
        return rising * (0.02 + 0.98 * falling)


class Backend(Protocol):
    """A model with its optimizer. Losses are per supervised token."""

    def step(self, batch: Batch, multiplier: float) -> float:
        """One update at `multiplier` times the schedule's learning rates; the loss before it."""
        ...

    def evaluate(self, batches: Iterable[Batch]) -> dict[str, float]:
        """`validation_loss` per token, `validation_exact` share of rows right in every token."""
        ...

    def save(self, path: Path) -> None:
        """fp32 safetensors with mlx-lm's parameter names, convolutions as (channels, 1, taps)."""
        ...


class TrainingError(RuntimeError):
    """The run cannot go on: not-a-number, nothing supervised, or a loss of zero."""


def run_phase(
    backend: Backend,
    examples: Sequence[Example],
    schedule: Schedule,
    checkpoint: Path,
    held_out: Sequence[Example] = (),
    max_minutes: float = math.inf,
    report: Callable[[str], None] = print,
) -> dict[str, float]:
    """Train until the token budget (or `max_minutes`) is spent; returns the last figures.

    `max_minutes` speeds the whole schedule up, decay included, rather than cutting it short.
    The newest weights are beside `checkpoint` every five minutes. Raises TrainingError.
    """
    started = saved = logged = time.monotonic()
    partial = checkpoint.with_suffix(".partial.safetensors")
    seen, steps, smooth = 0, 0, 0.0

    def validation() -> dict[str, float]:
        return backend.evaluate(epoch(held_out, 8192, seed=0)) if held_out else {}

    for batch in _endless(examples, schedule):
        elapsed = time.monotonic() - started
        progress = max(seen / schedule.tokens, elapsed / 60 / max_minutes)
        if progress >= 1:
            break
        if not len(batch.positions):
            raise TrainingError("a batch has no supervised token")
        loss = backend.step(batch, schedule.multiplier(progress))
        if not math.isfinite(loss) or loss < 1e-6:
            raise TrainingError(f"loss {loss} at step {steps}: stopped, nothing was overwritten")
        seen += batch.inputs.size
        steps += 1
        smooth = loss if steps == 1 else 0.98 * smooth + 0.02 * loss
        if time.monotonic() - logged > REPORT_SECONDS:
            logged = time.monotonic()
            report(
                f"{progress:6.1%} step {steps} loss {smooth:.3f} "
                f"{seen / 1e6:.2f}M tokens {seen / elapsed:.0f} tok/s"
            )
        if time.monotonic() - saved > SAVE_SECONDS:
            saved = time.monotonic()
            backend.save(partial)
            report(json.dumps(validation()))
    figures = {"steps": steps, "tokens": seen, "loss": smooth, "seconds": elapsed} | validation()
    backend.save(partial)
    partial.replace(checkpoint)
    report(json.dumps(figures))
    return figures


def _endless(examples: Sequence[Example], schedule: Schedule) -> Iterator[Batch]:
    for number in range(1_000_000):
        yield from epoch(examples, schedule.tokens_per_batch, schedule.seed + number)
