"""Cases, transcripts and results made by hand."""

import itertools
import json
from pathlib import Path
from typing import Any

from agent_evals.judge import Verdict
from agent_evals.store import Row
from agent_evals.suite import Case
from agent_evals.transcript import Call, Transcript

DEFINED = "1 match in 1 file\nsrc/gauge.py:3: class Gauge:"

TOOL_ROW = {
    "id": "t1",
    "fixture": "meter",
    "question": "Where is Gauge defined?",
    "label": "tool",
    "subtype": "define",
    "tools": ["grep", "read_file"],
    "evidence": ["class Gauge", "src/gauge.py"],
    "gold": {"name": "grep", "arguments": {"pattern": "class Gauge"}},
    "answer": [["gauge\\.py"]],
}
DIRECT_ROW = {
    "id": "d1",
    "fixture": "meter",
    "question": "What is a gauge?",
    "label": "direct",
    "subtype": "concept",
    "answer": [["measur", "instrument"], ["pressure|level"]],
}
EDIT_ROW = {
    "id": "e1",
    "fixture": "meter",
    "question": "Set LIMIT in src/gauge.py to 9",
    "label": "tool",
    "subtype": "edit",
    "tools": ["edit_file", "write_file"],
    "evidence": ["src/gauge.py"],
    "gold": {
        "name": "edit_file",
        "arguments": {"path": "src/gauge.py", "old": "LIMIT = 5", "new": "LIMIT = 9"},
    },
    "after": [
        {"path": "src/gauge.py", "contains": "LIMIT = 9"},
        {"path": "src/gauge.py", "lacks": "LIMIT = 5"},
    ],
}
ABSTAIN_ROW = {
    "id": "a1",
    "fixture": "meter",
    "question": "What does src/valve.py do?",
    "label": "abstain",
    "subtype": "missing_file",
    "answer": [["no file", "does not exist", "not find"]],
}
GAUGE = "LIMIT = 5\n\nclass Gauge:\n    low = 0\n    high = 1\n    unit = 'bar'\n"

_numbers = itertools.count()


def case(row: dict[str, Any], **changes: Any) -> Case:
    return Case.model_validate({**row, **changes})


def grep(pattern: str, result: str = DEFINED, outcome: str = "ok", **more: Any) -> Call:
    return Call("grep", {"pattern": pattern, **more}, outcome, result)


def run(*calls: Call, answer: str = "In src/gauge.py.", **more: Any) -> Transcript:
    return Transcript(calls=calls, answer=answer, **more)


def fixture(folder: Path) -> Path:
    """The codebase the cases are about, below `folder`."""
    root = folder / "meter"
    (root / "src").mkdir(parents=True)
    (root / "src" / "gauge.py").write_text(GAUGE)
    (root / "README.md").write_text("# Meter\n")
    return root


def suite_file(folder: Path, *rows: dict[str, Any]) -> Path:
    """A suite of these rows, its fixtures beside it."""
    fixture(folder / "fixtures")
    (folder / "suites").mkdir(parents=True)
    path = folder / "suites" / "little.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def scored(label: str, decision: str, *, right_call: bool | None = None, **more: Any) -> Row:
    """A result with the given decision; all else is as in a clean run."""
    wanted = "called" if label == "tool" else "answered"
    verdict: dict[str, Any] = {
        "decision": decision,
        "decided": more.pop("decided", decision == wanted),
        "right_call": bool(right_call) if label == "tool" else None,
        "right_answer": more.pop("right_answer", None),
        "repeated": more.pop("repeated", 0),
        "malformed": more.pop("malformed", 0),
        "looped": more.pop("looped", False),
        "excess": more.pop("excess", 0),
        "gold_call": more.pop("gold_call", None),
    }
    fields: dict[str, Any] = {
        "id": f"case-{next(_numbers)}",
        "subtype": "define" if label == "tool" else "concept",
        "ended": "success",
        "seconds": 1.0,
        "usage": {"input_tokens": 100, "output_tokens": 10},
        "configuration": "little",
    }
    return Row(label=label, verdict=Verdict(**verdict), **{**fields, **more})
