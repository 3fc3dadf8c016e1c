"""Muon for the matrices, AdamW for the rest.

Muon: Jordan et al. 2024, "Muon: An optimizer for hidden layers in neural networks"
(orthogonalised momentum by a quintic Newton-Schulz iteration).
"""

from __future__ import annotations

from collections import defaultdict

import torch
from torch import Tensor, nn

NEWTON_SCHULZ = (3.4445, -4.7750, 2.0315)


class Muon:
    """Matrices of one shape are orthogonalised in one batched product."""

    def __init__(self, matrices: list[nn.Parameter], momentum: float = 0.95) -> None:
        self.momentum = momentum
        self.groups: dict[torch.Size, list[nn.Parameter]] = defaultdict(list)
        for matrix in matrices:
            self.groups[matrix.shape].append(matrix)
        self.velocity = {shape: torch.zeros(len(g), *shape) for shape, g in self.groups.items()}

    @torch.no_grad()
    def step(self, learning_rate: float) -> None:
        for shape, group in self.groups.items():
            gradient = torch.stack([m.grad for m in group if m.grad is not None])
            velocity = self.velocity[shape]
            velocity.mul_(self.momentum).add_(gradient)
            update = orthogonalise(gradient.add(velocity, alpha=self.momentum))
            scale = max(1.0, shape[0] / shape[1]) ** 0.5
            for matrix, direction in zip(group, update, strict=True):
                matrix.sub_(direction.to(matrix.dtype), alpha=learning_rate * scale)


def orthogonalise(gradient: Tensor, steps: int = 5) -> Tensor:
    """Nearest semi-orthogonal matrices, approximately: (N, rows, columns) -> the same shape."""
    a, b, c = NEWTON_SCHULZ
    x = gradient.bfloat16()
    transposed = x.shape[-2] > x.shape[-1]
    x = x.mT if transposed else x
    x = x / (x.norm(dim=(-2, -1), keepdim=True) + 1e-7)
    for _ in range(steps):
        gram = x @ x.mT
        x = a * x + (b * gram + c * gram @ gram) @ x
    return x.mT if transposed else x


class Optimizer:
    """Both optimizers behind one learning-rate multiplier in [0, 1]."""

    def __init__(self, model: nn.Module, matrix_lr: float, other_lr: float) -> None:
        named = list(model.named_parameters())
        matrices = [p for name, p in named if p.ndim == 2 and "embed" not in name]
        matrix_ids = {id(p) for p in matrices}
        others = [p for _, p in named if id(p) not in matrix_ids]
        self.parameters = [p for _, p in named]
        self.matrix_lr, self.other_lr = matrix_lr, other_lr
        self.muon = Muon(matrices)
        self.adamw = torch.optim.AdamW(
            others, lr=other_lr, betas=(0.9, 0.95), weight_decay=0.0, fused=True
        )

    def step(self, multiplier: float, clip: float = 1.0) -> None:
        """Clip, update, clear."""
        torch.nn.utils.clip_grad_norm_(self.parameters, clip)
        self.muon.step(self.matrix_lr * multiplier)
        for group in self.adamw.param_groups:
            group["lr"] = self.other_lr * multiplier
        self.adamw.step()
        for parameter in self.parameters:
            parameter.grad = None
