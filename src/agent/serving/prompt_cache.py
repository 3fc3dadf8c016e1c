"""Key-value caches of earlier prompts, kept for prompts that begin the same way."""

import copy
from collections import OrderedDict
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Entry:
    tokens: NDArray[np.int32]
    cache: list[Any]
    nbytes: int
    trimmable: bool


class PromptCache:
    """The latest caches of one model, at most `max_entries` and `max_bytes` of them.

    A cache is used for a prompt it is a true prefix of; one whose layers can all be trimmed is
    also used for as much as it shares. Recurrent layers (lfm2) cannot be trimmed.
    """

    def __init__(self, max_entries: int = 48, max_bytes: int = 1 << 30) -> None:
        self._entries: OrderedDict[bytes, Entry] = OrderedDict()
        self._max_entries = max_entries
        self._max_bytes = max_bytes
        self.nbytes = 0

    def take(self, prompt: list[int]) -> tuple[list[Any] | None, int]:
        """The most useful cache for `prompt` and how many of its tokens it covers.

        At least one token is always left to compute. The cache may be read, never written.
        """
        tokens = np.asarray(prompt, dtype=np.int32)
        best, covered = None, 0
        for key, entry in self._entries.items():
            shared = min(_shared(entry.tokens, tokens), len(tokens) - 1)
            usable = shared if entry.trimmable or shared == len(entry.tokens) else 0
            if usable > covered:
                best, covered = key, usable
        if best is None:
            return None, 0
        self._entries.move_to_end(best)
        return _trimmed(self._entries[best], covered), covered

    def longest_shared(self, prompt: list[int]) -> int:
        """How many first tokens `prompt` shares with any earlier prompt."""
        tokens = np.asarray(prompt, dtype=np.int32)
        return max((_shared(e.tokens, tokens) for e in self._entries.values()), default=0)

    def add(self, tokens: list[int], cache: list[Any]) -> None:
        """Keep `cache`, which holds exactly `tokens`; the oldest make room."""
        import mlx.core as mx
        from mlx_lm.models.cache import can_trim_prompt_cache

        mx.eval([layer.state for layer in cache])
        array = np.asarray(tokens, dtype=np.int32)
        entry = Entry(array, cache, sum(c.nbytes for c in cache), can_trim_prompt_cache(cache))
        self._remove(array.tobytes())
        if not tokens or entry.nbytes > self._max_bytes:
            return
        self._entries[array.tobytes()] = entry
        self.nbytes += entry.nbytes
        while len(self._entries) > self._max_entries or self.nbytes > self._max_bytes:
            self._remove(next(iter(self._entries)))

    def clear(self) -> None:
        self._entries.clear()
        self.nbytes = 0

    def __len__(self) -> int:
        return len(self._entries)

    def _remove(self, key: bytes) -> None:
        entry = self._entries.pop(key, None)
        if entry is not None:
            self.nbytes -= entry.nbytes


def _shared(one: NDArray[np.int32], other: NDArray[np.int32]) -> int:
    size = min(len(one), len(other))
    differ = np.flatnonzero(one[:size] != other[:size])
    return int(differ[0]) if len(differ) else size


def _trimmed(entry: Entry, size: int) -> list[Any]:
    from mlx_lm.models.cache import trim_prompt_cache

    surplus = len(entry.tokens) - size
    if not surplus:
        return [copy.copy(layer) for layer in entry.cache]
    cache = copy.deepcopy(entry.cache)
    trim_prompt_cache(cache, surplus)
    return cache
