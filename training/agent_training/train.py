"""The training loop: phases of (examples, token budget), token-weighted loss, checkpoints."""

from __future__ import annotations

import json
import math
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
import torch.nn.functional as F

from agent_training.batches import Batch, Example, epoch
from agent_training.model import Lfm2, Shape
from agent_training.optimizer import Optimizer


@dataclass(frozen=True)
class Schedule:
    """Learning rates of one phase: warm-up, plateau, linear decay over the last `decay` share."""

    tokens: float
    matrix_lr: float = 0.02
    other_lr: float = 3e-3
    weight_decay: float = 0.0
    warmup: float = 0.01
    decay: float = 0.5
    tokens_per_batch: int = 4096
    seed: int = 0

    def multiplier(self, progress: float) -> float:
        rising = min(1.0, (progress + 1e-4) / self.warmup)
        falling = min(1.0, max(0.0, (1.0 - progress) / self.decay))
        return rising * (0.02 + 0.98 * falling)


class TrainingError(RuntimeError):
    """The run cannot go on: not-a-number, nothing supervised, or a loss of zero."""


def run_phase(
    model: Lfm2,
    examples: Sequence[Example],
    schedule: Schedule,
    checkpoint: Path,
    validate: Callable[[], dict[str, float]] | None = None,
    max_minutes: float = math.inf,
    report: Callable[[str], None] = print,
) -> dict[str, float]:
    """Train until the token budget (or `max_minutes`) is spent; returns the last figures.

    `max_minutes` speeds the whole schedule up, decay included, rather than cutting it short.
    The newest weights are in `checkpoint` every five minutes. Raises TrainingError.
    """
    optimizer = Optimizer(model, schedule.matrix_lr, schedule.other_lr, schedule.weight_decay)
    body = torch.compile(model, dynamic=True)
    loss_of = torch.compile(_loss, dynamic=True)
    started = saved = logged = time.monotonic()
    seen, steps, smooth = 0, 0, 0.0
    figures: dict[str, float] = {}
    for batch in _endless(examples, schedule):
        elapsed = time.monotonic() - started
        progress = max(seen / schedule.tokens, elapsed / 60 / max_minutes)
        if progress >= 1:
            break
        loss = _step(model, body, loss_of, batch)
        norm = optimizer.step(schedule.multiplier(progress))
        if not math.isfinite(loss) or loss < 1e-6:
            raise TrainingError(f"loss {loss} at step {steps}: stopped, nothing was overwritten")
        seen += batch.inputs.size
        steps += 1
        smooth = loss if steps == 1 else 0.98 * smooth + 0.02 * loss
        if time.monotonic() - logged > 20:
            logged = time.monotonic()
            rate = seen / elapsed if elapsed else 0.0
            report(
                f"{progress:6.1%} step {steps} loss {smooth:.3f} norm {norm:.2f} "
                f"{seen / 1e6:.2f}M tokens {rate:.0f} tok/s"
            )
        if time.monotonic() - saved > 300:
            saved = time.monotonic()
            save(model, checkpoint)
            if validate:
                report(json.dumps(validate()))
    save(model, checkpoint)
    figures = {"steps": steps, "tokens": seen, "loss": smooth, "seconds": elapsed}
    if validate:
        figures |= validate()
    report(json.dumps(figures))
    return figures


def evaluate(
    model: Lfm2, examples: Sequence[Example], tokens_per_batch: int = 8192
) -> dict[str, float]:
    """Loss per supervised token, and the share of rows whose supervised tokens are all argmax."""
    total = weight = exact = rows = 0.0
    with torch.no_grad(), torch.autocast("cpu", torch.bfloat16):
        for batch in epoch(examples, tokens_per_batch, seed=0):
            hidden = model(torch.from_numpy(batch.inputs)).flatten(0, 1)
            # Auxiliary tokens weigh less than one; only the assistant's own are judged.
            judged = batch.weights >= 1
            positions = torch.from_numpy(batch.positions[judged])
            targets = torch.from_numpy(batch.targets[judged])
            logits = model.logits(hidden[positions]).float()
            total += float(F.cross_entropy(logits, targets, reduction="sum"))
            weight += len(targets)
            row_of = positions // batch.inputs.shape[1]
            wrong = torch.zeros(batch.inputs.shape[0], dtype=torch.bool)
            wrong[row_of[logits.argmax(-1) != targets]] = True
            exact += float((~wrong).sum())
            rows += len(wrong)
    return {"validation_loss": total / weight, "validation_exact": exact / rows}


def new_model(shape: Shape, seed: int) -> Lfm2:
    torch.manual_seed(seed)
    return Lfm2(shape)


def save(model: Lfm2, path: Path) -> None:
    partial = path.with_suffix(".partial")
    torch.save(model.state_dict(), partial)
    partial.replace(path)


def _endless(examples: Sequence[Example], schedule: Schedule) -> Iterator[Batch]:
    for number in range(1_000_000):
        yield from epoch(examples, schedule.tokens_per_batch, schedule.seed + number)


def _step(
    model: Lfm2,
    body: Callable[[torch.Tensor], torch.Tensor],
    loss_of: Callable[..., torch.Tensor],
    batch: Batch,
) -> float:
    if not len(batch.positions):
        raise TrainingError("a batch has no supervised token")
    with torch.autocast("cpu", torch.bfloat16):
        hidden = body(torch.from_numpy(batch.inputs)).flatten(0, 1)
        loss = loss_of(
            hidden[torch.from_numpy(batch.positions)],
            model.embed_tokens.weight,
            torch.from_numpy(batch.targets),
            torch.from_numpy(batch.weights),
        )
    loss.backward()  # type: ignore[no-untyped-call]
    return float(loss.detach())


def _loss(
    hidden: torch.Tensor, embedding: torch.Tensor, targets: torch.Tensor, weights: torch.Tensor
) -> torch.Tensor:
    logits = F.linear(hidden, embedding).float()
    losses = F.cross_entropy(logits, targets, reduction="none")
    return (losses * weights).sum() / weights.sum()
