"""Training in MLX: the way on Apple Silicon. Same recipe, batches, loss and file format."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import mlx.core as mx
import mlx.nn as nn
import mlx.optimizers as optim
import numpy as np
from mlx.utils import tree_flatten
from mlx_lm.models.lfm2 import Model, ModelArgs

from agent_training.batches import Batch
from agent_training.loop import Schedule
from agent_training.shape import Shape

CLIP = 1.0


class MlxBackend:
    """Starts from `start`'s weights, or from a seeded initialisation without it."""

    def __init__(self, shape: Shape, schedule: Schedule, start: Path | None = None) -> None:
        mx.random.seed(schedule.seed)
        self.model: Any = Model(ModelArgs.from_dict(shape.config(1, 0, 1)))
        weights: Any = mx.load(str(start)) if start else self._initial(shape)
        self.model.load_weights(list(self.model.sanitize(weights).items()))
        self.schedule = schedule
        self.dropout = nn.Dropout(schedule.dropout)
        self.muon = optim.Muon(schedule.matrix_lr, weight_decay=0.0)
        self.adamw = optim.AdamW(schedule.other_lr, betas=[0.9, 0.95], weight_decay=0.0)
        self.optimizer = optim.MultiOptimizer([self.muon, self.adamw], [_is_matrix])
        self._gradients = nn.value_and_grad(self.model, _weighted_loss)

    def step(self, batch: Batch, multiplier: float) -> float:
        self.muon.learning_rate = self.schedule.matrix_lr * multiplier
        self.adamw.learning_rate = self.schedule.other_lr * multiplier
        loss, gradients = self._gradients(self.model, *_arrays(batch), self.dropout)
        gradients, _ = optim.clip_grad_norm(gradients, CLIP)
        self.optimizer.update(self.model, gradients)
        mx.eval(self.model.parameters(), self.optimizer.state, loss)
        return float(loss.item())

    def evaluate(self, batches: Iterable[Batch]) -> dict[str, float]:
        total = tokens = exact = rows = 0.0
        for batch in batches:
            judged = batch.weights >= 1
            targets = mx.array(batch.targets[judged])
            positions = batch.positions[judged]
            logits = _logits(self.model, mx.array(batch.inputs), mx.array(positions))
            losses = nn.losses.cross_entropy(logits, targets)
            total += float(np.array(losses).sum())
            tokens += len(positions)
            wrong = np.array(logits.argmax(-1) != targets)
            rows += batch.inputs.shape[0]
            exact += batch.inputs.shape[0] - len(set(positions[wrong] // batch.inputs.shape[1]))
        return {"validation_loss": total / tokens, "validation_exact": exact / rows}

    def save(self, path: Path) -> None:
        weights = self._parameters()
        for name in weights:
            if name.endswith("conv.weight"):
                weights[name] = weights[name].transpose(0, 2, 1)
        mx.save_safetensors(str(path), weights, metadata={"format": "pt"})

    def _parameters(self) -> dict[str, mx.array]:
        flat: Any = tree_flatten(self.model.parameters())
        return dict(flat)

    def _initial(self, shape: Shape) -> dict[str, mx.array]:
        """As in the PyTorch model: normal, fan-in scaled, residual outputs smaller."""
        weights = self._parameters()
        for name, value in weights.items():
            if value.ndim == 2:
                std = shape.initial_std(name, value.shape[1])
                weights[name] = mx.random.normal(value.shape) * std
        return weights


def _is_matrix(name: str, weight: Any) -> bool:
    return weight.ndim == 2 and "embed" not in name


def _arrays(batch: Batch) -> list[mx.array]:
    parts: list[Any] = [batch.inputs, batch.positions, batch.targets, batch.weights]
    return [mx.array(part) for part in parts]


def _same(hidden: mx.array) -> mx.array:
    return hidden


def _logits(model: Any, inputs: mx.array, positions: mx.array, dropout: Any = _same) -> mx.array:
    """Only at `positions`: the softmax over the vocabulary is a large part of the work."""
    embedded = dropout(model.model.embed_tokens(inputs))
    hidden = dropout(model.model(inputs, input_embeddings=embedded))
    chosen = hidden.reshape(-1, hidden.shape[-1])[positions]
    logits: mx.array = model.model.embed_tokens.as_linear(chosen)
    return logits


def _weighted_loss(
    model: Any, inputs: mx.array, positions: mx.array, targets: mx.array, weights: mx.array,
    dropout: Any,
) -> mx.array:  # fmt: skip
    logits = _logits(model, inputs, positions, dropout)
    losses = nn.losses.cross_entropy(logits, targets, reduction="none")
    return (losses * weights).sum() / weights.sum()
