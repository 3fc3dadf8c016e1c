"""Tool results remembered between builds, one file a codebase: a rebuild takes minutes."""

import json
import random
from pathlib import Path
from typing import Any

from agent_training.mine import Codebase
from agent_training.oracle import Executor, tools_version

_SAMPLE = 30


def recall(file: Path, code: Codebase) -> dict[str, str]:
    """The results remembered for a codebase.

    Results of another version of the tools count only if a sample of them, executed again, comes
    out the same; else all are forgotten.
    """
    if not file.is_file():
        return {}
    stored: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
    results: dict[str, str] = stored["results"]
    if stored["tools"] != tools_version():
        keys = random.Random(code.name).sample(sorted(results), min(_SAMPLE, len(results)))
        execute = Executor(code, {})
        for key in keys:
            tool, _, arguments = key.partition(" ")
            if execute(tool, json.loads(arguments)) != results[key]:
                return {}
    return results


def remember(file: Path, results: dict[str, str]) -> None:
    """Keep the results for the next build."""
    file.parent.mkdir(parents=True, exist_ok=True)
    stored = {"tools": tools_version(), "results": results}
    partial = file.with_suffix(".partial")
    partial.write_text(json.dumps(stored), encoding="utf-8")
    partial.replace(file)
