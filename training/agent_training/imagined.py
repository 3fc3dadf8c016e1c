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

from agent_tools import Workspace
from agent_training import patterns
from agent_training.intents.changes import edited
from agent_training.oracle import called, calling, returned
from agent_training.phrasing import Asked

DO = "change"
_AROUND = 6
"""At most so many lines before it, and after it."""


def changes(lines: Sequence[Asked]) -> list[Asked]:
    """Those of `lines` that are such changes."""
    return [line for line in lines if line.do == DO]


def turn(line: Asked, others: Sequence[Asked], rng: random.Random) -> list[dict[str, Any]]:
    """The calls, their results and the answer. Raises ValueError if the change cannot be made."""
    fields = line.fields
    name, path = fields["name"], fields["path"]
    old, new = fields["line"].strip(), fields["becomes"].strip()
    calls = [
        ("grep", {"pattern": patterns.usages(patterns.tail(name)), "path": path}),
        ("edit_file", {"path": path, "old": old, "new": new}),
    ]
    messages: list[dict[str, Any]] = []
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, path)
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(_content(line, others, rng), encoding="utf-8")
        result = ""
        for number, (tool, arguments) in enumerate(calls, start=1):
            result = called(Workspace(Path(folder)), tool, arguments)
            if result.startswith(("Error", "No matches")):
                raise ValueError(f"{line.question!r}: {tool} says {result}")
            messages += [calling(tool, arguments, number), returned(result, number)]
    return [*messages, {"role": "assistant", "content": edited(result)}]


def _content(line: Asked, others: Sequence[Asked], rng: random.Random) -> str:
    """The line among those of other files of its kind."""
    kind, name = _kind(line), patterns.tail(line.fields["name"])
    like = [o.fields["line"] for o in others if _kind(o) == kind and name not in o.fields["line"]]
    before, after = (rng.sample(like, min(len(like), rng.randint(0, _AROUND))) for _ in range(2))
    return "\n".join([*before, line.fields["line"], *after]) + "\n"


def _kind(line: Asked) -> str:
    return PurePosixPath(line.fields["path"]).suffix
