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
        """`context` int32 (n,), `logits` (1, width); waits for the newest token.

        On the host, because the sixteen small operations that it would be on the device cost a
        model of this size as much as half its layers, for every answer of a batch.
        """
        import mlx.core as mx
        import numpy as np

        if len(context) < 2 or len(self._tokens) < 3:
            return logits
        before, newest = np.array(context[-2:]).tolist()
        prompt, followed = self._prepared
        at = np.flatnonzero((prompt[:-1] == newest) & followed)
        two = at[(at > 0) & (prompt[at - 1] == before)]
        # After a space, one token is no evidence: it may be any short word.
        chosen = two if len(two) or not self._tokenizer.texts[before].strip() else at
        if not len(chosen):
            return logits
        bonus = np.zeros((1, logits.shape[-1]), dtype=np.float32)
        bonus[0, prompt[chosen + 1]] = self._bonus
        return logits + mx.array(bonus).astype(logits.dtype)

    @cached_property
    def _prepared(self) -> tuple[Any, Any]:
        """Prompt int32 (n,), and bool (n-1,): whether a token's name goes on after it."""
        import numpy as np

        joints = joined([self._tokenizer.texts[token] for token in self._tokens])
        return np.array(self._tokens, dtype=np.int32), np.array(joints, dtype=bool)


def joined(pieces: Sequence[str]) -> list[bool]:
    """For each neighbouring pair of a text's pieces, whether both belong to one name."""
    names = [bool(_WORD.fullmatch(piece)) for piece in pieces]
    joints = [bool(_JOINT.fullmatch(piece)) for piece in pieces]
    leads_to_name = [*names, False]
    for at in reversed(range(len(pieces))):
        leads_to_name[at] = names[at] or (joints[at] and leads_to_name[at + 1])
    return [(names[at] or joints[at]) and leads_to_name[at + 1] for at in range(len(pieces) - 1)]
