"""Changes asked for by the new value alone: look for the line, then replace it.

The codebase is in the question alone (see `agent_training.asked`), but the line that sets the value
is written down with the question (`line`, and what it `becomes`), so a file is made of it and of
lines like it, and the tools really run on that.
"""

from __future__ import annotations

import random
import tempfile
from collections.abc import Sequence
from pathlib import Path, PurePosixPath
from typing import Any

from agent_training import patterns
from agent_training.intents.changes import change_line
from agent_training.mine import Codebase
from agent_training.oracle import Executor, Run, Unusable
from agent_training.phrasing import Asked
from agent_training.scenes import slots

DO = "change"
_AROUND = 6
"""At most so many lines before it, and after it."""


def changes(lines: Sequence[Asked]) -> list[Asked]:
    """Those of `lines` that are such changes."""
    return [line for line in lines if line.do == DO]


def turn(line: Asked, others: Sequence[Asked], rng: random.Random) -> list[dict[str, Any]]:
    """The calls, their results and the answer. Raises ValueError if the change cannot be made."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, line.fields["path"])
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(_content(line, others, rng), encoding="utf-8")
        code = Codebase("imagined", Path(folder))
        run = Run(code, slots(line), Executor(code, {}))
        try:
            run.answer = change_line(run)
        except Unusable as error:
            raise ValueError(f"{line.question!r}: {error}") from None
    tool, _, result = run.calls[-1]
    if result.startswith("Error"):
        raise ValueError(f"{line.question!r}: {tool} says {result}")
    return run.messages(line.question)[1:]


def _content(line: Asked, others: Sequence[Asked], rng: random.Random) -> str:
    """The line among those of other files of its kind."""
    kind, name = _kind(line), patterns.tail(line.fields["name"])
    like = [o.fields["line"] for o in others if _kind(o) == kind and name not in o.fields["line"]]
    before, after = (rng.sample(like, min(len(like), rng.randint(0, _AROUND))) for _ in range(2))
    return "\n".join([*before, line.fields["line"], *after]) + "\n"


def _kind(line: Asked) -> str:
    return PurePosixPath(line.fields["path"]).suffix
