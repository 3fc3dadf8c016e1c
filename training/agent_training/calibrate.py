"""Calibrate the decision: move the threshold between calling and answering, in the weights.

Trained on more questions of one kind, or on easier ones, a model leans to one side. The margin of
`<tool_call>` over the best other token at the start of a reply is a score; the threshold of the
best balanced accuracy on the validation rows is folded into that token's embedding (threshold
moving, as in Provost 2000, "Machine learning from imbalanced data sets 101").
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from agent.serving import blas
from agent_training.batches import Example, collate
from agent_training.shape import Shape

Floats = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]

EMBEDDING = "model.embed_tokens.weight"
_ROUNDS = 4  # the shift is not quite the same for every question, so it is refined
_BATCH = 32


def calibrate(
    checkpoint: Path,
    shape: Shape,
    rows: Sequence[tuple[Example, bool]],
    call: int,
    strength: float = 1.0,
) -> dict[str, float]:
    """Shift the embedding of the token `call` in `checkpoint`; the file is replaced.

    `rows`: examples, each with whether its first reply is a call. `strength`: the share of the
    shift that is made, for rows that are easier than what people ask. Returns the balanced
    accuracies on them before and after.
    """
    blas.use_fast_blas()
    import mlx.core as mx

    weights: Any = mx.load(str(checkpoint))
    hidden = _at_decisions(weights, shape, [example for example, _ in rows])
    wanted = np.array([is_call for _, is_call in rows])
    embedding = np.array(weights[EMBEDDING].astype(mx.float32), np.float64)
    mean = hidden.mean(axis=0)
    others = np.delete(hidden @ embedding.T, call, axis=1).max(axis=1)
    margins = hidden @ embedding[call] - others
    before = balanced(margins > 0, wanted)
    trained = embedding[call].copy()
    for _ in range(_ROUNDS):
        embedding[call] -= best_threshold(margins, wanted) * mean / mean.dot(mean)
        margins = hidden @ embedding[call] - others
    embedding[call] = trained + strength * (embedding[call] - trained)
    margins = hidden @ embedding[call] - others
    weights[EMBEDDING] = mx.array(embedding.astype(np.float32))
    mx.save_safetensors(str(checkpoint), weights, metadata={"format": "pt"})
    return {"balanced_before": before, "balanced_after": balanced(margins > 0, wanted)}


def best_threshold(margins: Floats, wanted: Bools) -> float:
    """The threshold of the best balanced accuracy; among equals the middle one."""
    places = np.unique(margins)
    between = np.append((places[1:] + places[:-1]) / 2, 0.0)
    scores = np.array([balanced(margins > threshold, wanted) for threshold in between])
    return float(np.median(between[scores >= scores.max() - 1e-9]))


def balanced(called: Bools, wanted: Bools) -> float:
    return float((called[wanted].mean() + (~called[~wanted]).mean()) / 2)


def _at_decisions(weights: Any, shape: Shape, examples: Sequence[Example]) -> Floats:
    """The hidden states (N, D) that the first supervised tokens are predicted from."""
    import mlx.core as mx
    from mlx_lm.models.lfm2 import Model, ModelArgs

    arguments: Any = ModelArgs
    model: Any = Model(arguments.from_dict(shape.config(1, 0, 1)))
    model.load_weights(list(model.sanitize(dict(weights)).items()))
    found = []
    for start in range(0, len(examples), _BATCH):
        part = examples[start : start + _BATCH]
        firsts = [int(np.flatnonzero(example.weights >= 1)[0]) for example in part]
        batch = collate([_until(e, first) for e, first in zip(part, firsts, strict=True)])
        hidden = np.array(model.model(mx.array(batch.inputs)).astype(mx.float32))
        found += [hidden[row, first - 1] for row, first in enumerate(firsts)]
    return np.array(found, np.float64)


def _until(example: Example, last: int) -> Example:
    return Example(example.tokens[: last + 1], example.weights[: last + 1])
