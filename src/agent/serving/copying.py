"""A bonus for copying a name to its end: small models slip in the middle of rare ones.

When the newest tokens stand inside a word, a path or a dotted name of the prompt, the token that
follows there gets a bonus on its logit. In the spirit of pointer networks (See et al. 2017, "Get
to the point"), but without training: an n-gram match takes the place of attention.
"""

import re
from collections.abc import Sequence
from functools import cached_property
from typing import Any

from agent.serving.tokenizer import Tokenizer

_WORD = re.compile(r"\w+")
_JOINT = re.compile(r"[._/\\:$-]+")


class CopyBonus:
    """A logits processor of mlx-lm for one prompt; `bonus` is added to logits."""

    def __init__(self, prompt: Sequence[int], tokenizer: Tokenizer, bonus: float) -> None:
        self._tokens = list(prompt)
        self._tokenizer = tokenizer
        self._bonus = bonus

    def __call__(self, context: Any, logits: Any) -> Any:
        """`context` int32 (n,), `logits` (1, width); stays on the device, so nothing waits."""
        import mlx.core as mx

        if len(context) < 2 or len(self._tokens) < 3:
            return logits
        before, newest = context[-2], context[-1]
        prompt, joined, blank = self._prepared
        one = mx.logical_and(prompt[:-1] == newest, joined)
        two = mx.logical_and(one[1:], prompt[:-2] == before)
        # After a space, one token is no evidence: it may be any short word.
        inside = mx.logical_and(one, mx.logical_not(blank[before]))
        chosen = mx.where(mx.any(two), mx.concatenate([mx.array([False]), two]), inside)
        bonus = mx.where(chosen, self._bonus, 0.0).astype(logits.dtype)
        return logits + mx.zeros_like(logits[0]).at[prompt[1:]].maximum(bonus)

    @cached_property
    def _prepared(self) -> tuple[Any, Any, Any]:
        """Prompt int32 (n,), its joints bool (n-1,), blank tokens bool (vocabulary,).

        Made in the engine's thread, where MLX may compute.
        """
        import mlx.core as mx

        texts = self._tokenizer.texts
        blank = mx.array([not text.strip() for text in texts])
        joints = joined([texts[token] for token in self._tokens])
        return mx.array(self._tokens, dtype=mx.int32), mx.array(joints), blank


def joined(pieces: Sequence[str]) -> list[bool]:
    """For each neighbouring pair of a text's pieces, whether both belong to one name."""
    names = [bool(_WORD.fullmatch(piece)) for piece in pieces]
    joints = [bool(_JOINT.fullmatch(piece)) for piece in pieces]
    leads_to_name = [*names, False]
    for at in reversed(range(len(pieces))):
        leads_to_name[at] = names[at] or (joints[at] and leads_to_name[at + 1])
    return [(names[at] or joints[at]) and leads_to_name[at + 1] for at in range(len(pieces) - 1)]
