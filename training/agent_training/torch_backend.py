"""Training in PyTorch: the fast way on a CPU (bf16 products, fp32 weights)."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import torch
import torch.nn.functional as F
from safetensors.torch import load_file, save_file
from torch import Tensor

from agent_training.batches import Batch
from agent_training.loop import Schedule
from agent_training.model import Lfm2
from agent_training.optimizer import Optimizer
from agent_training.shape import Shape

PREFIX = "model."


class TorchBackend:
    """Starts from `start`'s weights, or from a seeded initialisation without it."""

    def __init__(self, shape: Shape, schedule: Schedule, start: Path | None = None) -> None:
        torch.manual_seed(schedule.seed)
        self.model = Lfm2(shape, schedule.dropout)
        if start:
            self.model.load_state_dict(
                {name.removeprefix(PREFIX): value for name, value in load_file(start).items()}
            )
        self.optimizer = Optimizer(self.model, schedule.matrix_lr, schedule.other_lr)
        self._body = torch.compile(self.model, dynamic=True)
        self._loss = torch.compile(_weighted_loss, dynamic=True)

    def step(self, batch: Batch, multiplier: float) -> float:
        with torch.autocast("cpu", torch.bfloat16):
            hidden = self._body(torch.from_numpy(batch.inputs)).flatten(0, 1)
            loss = self._loss(
                hidden[torch.from_numpy(batch.positions)],
                self.model.embed_tokens.weight,
                torch.from_numpy(batch.targets),
                torch.from_numpy(batch.weights),
            )
        loss.backward()
        self.optimizer.step(multiplier)
        return float(loss.detach())

    @torch.no_grad()
    def evaluate(self, batches: Iterable[Batch]) -> dict[str, float]:
        self.model.eval()
        total, tokens, exact, rows = 0.0, 0, 0, 0
        for batch in batches:
            # Auxiliary tokens weigh less than one; only the assistant's own are judged.
            judged = batch.weights >= 1
            positions = torch.from_numpy(batch.positions[judged])
            targets = torch.from_numpy(batch.targets[judged])
            with torch.autocast("cpu", torch.bfloat16):
                hidden = self.model(torch.from_numpy(batch.inputs)).flatten(0, 1)
                logits = self.model.logits(hidden[positions]).float()
            total += float(F.cross_entropy(logits, targets, reduction="sum"))
            tokens += len(targets)
            wrong_rows = (positions // batch.inputs.shape[1])[logits.argmax(-1) != targets]
            rows += batch.inputs.shape[0]
            exact += batch.inputs.shape[0] - len(wrong_rows.unique())
        self.model.train()
        return {"validation_loss": total / tokens, "validation_exact": exact / rows}

    def save(self, path: Path) -> None:
        weights = {PREFIX + k: v.contiguous() for k, v in self.model.state_dict().items()}
        save_file(weights, path, metadata={"format": "pt"})


def _weighted_loss(hidden: Tensor, embedding: Tensor, targets: Tensor, weights: Tensor) -> Tensor:
    losses = F.cross_entropy(F.linear(hidden, embedding).float(), targets, reduction="none")
    return (losses * weights).sum() / weights.sum()
