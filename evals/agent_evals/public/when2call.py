"""When2Call: call, ask, say that it cannot be done, or answer directly.

Source: github.com/NVIDIA/When2Call, Apache-2.0; Ross et al. 2025, arXiv 2504.18851.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from agent.exits import UsageError
from agent_evals.public import reading
from agent_evals.public.cases import Expected, Label, PublicCase, PublicSuite, Said, Wanted
from agent_evals.public.schema import offered

_EXPECTED = (
    "When2Call's test rows (when2call_test_mcq.jsonl or when2call_test_llm_judge.jsonl): uuid, "
    "question, correct_answer and tools"
)
_NEEDED = ("uuid", "question", "correct_answer", "tools")
_OUTCOMES: dict[str, tuple[Label, tuple[Said, ...]]] = {
    "tool_call": ("tool", ()),
    "direct": ("direct", ("direct",)),
    "request_for_info": ("direct", ("ask",)),
    "cannot_answer": ("direct", ("cannot",)),
}


def load(path: Path) -> PublicSuite:
    """The cases of a file, or of the test files below a folder; the right outcome is the subtype.

    The judge's rows are among those of the multiple choice, so each id is taken once.

    Raises:
        UsageError: what is there is not When2Call.
    """
    files = reading.files(path, ["*test*.jsonl"], (), _EXPECTED)
    cases: dict[str, PublicCase] = {}
    for file in files:
        for where, row in reading.rows(file, _NEEDED, _EXPECTED):
            case = _case(where, row)
            cases.setdefault(case.id, case)
    return PublicSuite("when2call", tuple(cases.values()), reading.digest(files))


def _case(where: str, row: Mapping[str, Any]) -> PublicCase:
    outcome = str(row["correct_answer"])
    if outcome not in _OUTCOMES:
        raise UsageError(f"{where}: correct_answer {outcome!r} is none of {', '.join(_OUTCOMES)}.")
    label, says = _OUTCOMES[outcome]
    calls: tuple[tuple[Wanted, ...], ...] = ()
    if label == "tool":
        target = _object(row.get("target_tool"), where)
        calls = ((Wanted(str(target.get("name"))),),)
    tools = offered([_object(tool, where) for tool in row["tools"]], where)
    message = {"role": "user", "content": str(row["question"])}
    expected = Expected(calls=calls, says=says)
    return PublicCase(str(row["uuid"]), "when2call", label, outcome, (message,), tools, expected)


def _object(tool: Any, where: str) -> Mapping[str, Any]:
    """Tools are written as JSON within the JSON."""
    try:
        found = json.loads(tool) if isinstance(tool, str) else tool
    except ValueError:
        found = None
    if not isinstance(found, Mapping):
        raise UsageError(f"{where}: expected tools, each a JSON object with name and parameters.")
    return found
