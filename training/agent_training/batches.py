"""Token sequences to padded batches: sorted by length, never truncated, shuffled by batch."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

MULTIPLE = 32


@dataclass(frozen=True)
class Example:
    """`tokens` (T,) and the loss weight (T,) of predicting each one; weight 0 is not trained."""

    tokens: npt.NDArray[np.int32]
    weights: npt.NDArray[np.float32]


@dataclass(frozen=True)
class Batch:
    """`inputs` (B, T) int64; `targets` (N,) and `weights` (N,) at flat `positions` (N,)."""

    inputs: npt.NDArray[np.int64]
    positions: npt.NDArray[np.int64]
    targets: npt.NDArray[np.int64]
    weights: npt.NDArray[np.float32]


def epoch(examples: Sequence[Example], tokens_per_batch: int, seed: int) -> Iterator[Batch]:
    """One pass in a seeded order; similar lengths share a batch so that little is padded."""
    rng = random.Random(seed)
    order = sorted(range(len(examples)), key=lambda i: (len(examples[i].tokens), rng.random()))
    groups: list[list[int]] = [[]]
    for index in order:
        width = -(-len(examples[index].tokens) // MULTIPLE) * MULTIPLE
        if groups[-1] and (len(groups[-1]) + 1) * width > tokens_per_batch:
            groups.append([])
        groups[-1].append(index)
    rng.shuffle(groups)
    for group in groups:
        yield collate([examples[index] for index in group])


def collate(examples: Sequence[Example], pad: int = 0) -> Batch:
    """Right-padded; the weight of position t belongs to the prediction of token t + 1."""
    width = -(-max(len(e.tokens) for e in examples) // MULTIPLE) * MULTIPLE
    inputs = np.full((len(examples), width), pad, np.int64)
    targets = np.full((len(examples), width), pad, np.int64)
    weights = np.zeros((len(examples), width), np.float32)
    for row, example in enumerate(examples):
        length = len(example.tokens)
        inputs[row, :length] = example.tokens
        targets[row, : length - 1] = example.tokens[1:]
        weights[row, : length - 1] = example.weights[1:]
    positions = np.flatnonzero(weights)
    return Batch(inputs, positions, targets.ravel()[positions], weights.ravel()[positions])
