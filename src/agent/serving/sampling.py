"""Sampling parameters as mlx-lm samplers and logits processors."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any


@dataclass(frozen=True)
class Sampling:
    """Validated parameters of one request; the defaults change nothing and pick the best token."""

    temperature: float = 0.0
    top_p: float = 1.0
    top_k: int = 0
    min_p: float = 0.0
    seed: int | None = None
    repetition_penalty: float | None = None
    frequency_penalty: float | None = None
    presence_penalty: float | None = None
    logit_bias: Mapping[int, float] = field(default_factory=dict)

    def sampler(self, width: int) -> Callable[[Any], Any] | None:
        """Sampler over `width` log-probabilities; None: mlx-lm's own greedy one."""
        if self.temperature == 0 or self.top_p == 0:
            return None
        top_k = self.top_k if 0 < self.top_k < width else 0
        if self.seed is None:
            return _shared_sampler(self.temperature, self.top_p, top_k, self.min_p)
        return _seeded_sampler(self, top_k)

    def processors(self) -> list[Callable[[Any, Any], Any]]:
        """Penalties and biases, in mlx-lm's order."""
        from mlx_lm.sample_utils import make_logits_processors

        penalty = self.repetition_penalty
        processors: list[Callable[[Any, Any], Any]] = make_logits_processors(
            logit_bias=dict(self.logit_bias) or None,
            repetition_penalty=None if penalty == 1.0 else penalty,
            frequency_penalty=self.frequency_penalty or None,
            presence_penalty=self.presence_penalty or None,
        )
        return processors


@lru_cache(maxsize=64)
def _shared_sampler(
    temperature: float, top_p: float, top_k: int, min_p: float
) -> Callable[[Any], Any]:
    """The same object for the same parameters, so that a batch samples in one call."""
    from mlx_lm.sample_utils import make_sampler

    sampler: Callable[[Any], Any] = make_sampler(
        temp=temperature, top_p=top_p, min_p=min_p, top_k=top_k
    )
    return sampler


def _seeded_sampler(sampling: Sampling, top_k: int) -> Callable[[Any], Any]:
    """A sampler with a random state of its own: neighbours in the batch do not disturb it."""
    import mlx.core as mx
    from mlx_lm.sample_utils import apply_min_p, apply_top_k, apply_top_p

    assert sampling.seed is not None
    key = mx.random.key(sampling.seed % 2**64)

    def sample(logprobs: Any) -> Any:
        nonlocal key
        if 0 < sampling.top_p < 1:
            logprobs = apply_top_p(logprobs, sampling.top_p)
        if sampling.min_p > 0:
            logprobs = apply_min_p(logprobs, sampling.min_p)
        if top_k:
            logprobs = apply_top_k(logprobs, top_k)
        key, now = mx.random.split(key)
        return mx.random.categorical(logprobs * (1 / sampling.temperature), key=now)

    return sample
