"""Rows of dialogue to weighted token sequences, through the one renderer.

A row: {"messages": [...OpenAI style...], "tools": [names offered], ...}. Every assistant turn after
the last question is supervised, its end-of-turn token included; all other tokens get a small
auxiliary language-model weight on a random share of them.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from agent.serving.chat import render
from agent_training.batches import Example
from agent_training.tokenizer import END

Row = dict[str, Any]


@dataclass(frozen=True)
class Weights:
    """Loss weights by role of a token; `auxiliary` falls on `auxiliary_share` of the context."""

    decision: float = 4.0
    call: float = 1.5
    answer: float = 1.0
    auxiliary: float = 0.3
    auxiliary_share: float = 0.3


class RowError(ValueError):
    """A row that would teach nothing or something wrong."""


def read_rows(path: Path) -> list[Row]:
    with path.open(encoding="utf-8") as lines:
        return [json.loads(line) for line in lines]


class Encoder:
    """Rows to examples with the embedded tokenizer in `folder`."""

    def __init__(self, folder: Path, weights: Weights, max_tokens: int, seed: int = 0) -> None:
        from transformers import PreTrainedTokenizerFast

        self.tokenizer = PreTrainedTokenizerFast.from_pretrained(str(folder))
        self.weights, self.max_tokens = weights, max_tokens
        self.rng = np.random.default_rng(seed)
        ids = self.tokenizer.convert_tokens_to_ids
        self.user, self.assistant, self.end = ids("<|user|>"), ids("<|assistant|>"), ids(END)
        self.call = ids("<tool_call>")

    def text(self, row: Row) -> str:
        """What serving would render, up to and including the last assistant turn."""
        tools = [{"type": "function", "function": {"name": name}} for name in row["tools"]]
        return render(self.tokenizer, row["messages"], tools, add_generation_prompt=False)

    def examples(self, rows: Sequence[Row]) -> tuple[list[Example], int]:
        """The examples, and how many rows were dropped for being over `max_tokens`."""
        backend = self.tokenizer.backend_tokenizer
        kept, too_long = [], 0
        for start in range(0, len(rows), 1024):
            texts = [self.text(row) for row in rows[start : start + 1024]]
            for encoding in backend.encode_batch(texts, add_special_tokens=False):
                if len(encoding.ids) > self.max_tokens:
                    too_long += 1
                else:
                    kept.append(self._example(np.array(encoding.ids, np.int32)))
        return kept, too_long

    def _example(self, tokens: np.ndarray[Any, np.dtype[np.int32]]) -> Example:
        lottery = self.rng.random(len(tokens)) < self.weights.auxiliary_share
        weights = np.where(lottery, self.weights.auxiliary, 0).astype(np.float32)
        weights[0] = 0
        asked = int(np.flatnonzero(tokens == self.user)[-1])
        starts = np.flatnonzero(tokens == self.assistant)
        for start in starts[starts > asked]:
            stop = start + 1 + int(np.flatnonzero(tokens[start + 1 :] == self.end)[0])
            is_call = self.call in tokens[start:stop]
            weights[start + 1 : stop + 1] = self.weights.call if is_call else self.weights.answer
            weights[start + 1] = self.weights.decision
        if not (weights >= 1).any():
            raise RowError("a row without a supervised token")
        return Example(tokens, weights)
