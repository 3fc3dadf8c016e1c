"""MetaTool: whether a tool is needed (Task 1, in words) and which one (Task 2).

Source: github.com/HowieHwong/MetaTool, MIT; Huang et al. 2024, arXiv 2310.03128.
"""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from agent.exits import UsageError
from agent_evals.public import reading
from agent_evals.public.cases import Expected, PublicCase, PublicSuite, Wanted
from agent_evals.public.schema import Offered, offered

_EXPECTED = (
    "MetaTool's Task1.json (query, label, thought_prompt) or Task2-Subtask*.json (query, tool, "
    "action_prompt)"
)
_LISTED = re.compile(
    r"^\d+\. tool name: (?P<name>.+?), tool description: (?P<description>.*)$", re.MULTILINE
)
_LABELS = {"positive": "tool", "negative": "direct"}
_QUERY = {
    "type": "object",
    "properties": {"query": {"type": "string", "description": "what the tool is asked for"}},
    "required": ["query"],
}


def load(path: Path) -> PublicSuite:
    """The cases of a file or of all files below a folder.

    Subtypes: `awareness` (Yes or No), `selection` (the right one of those offered), `unavailable`
    (the right one is not offered), `several` (more than one is right).

    Raises:
        UsageError: what is there is not MetaTool.
    """
    files = reading.files(path, ["Task*.json"], (), _EXPECTED)
    cases: list[PublicCase] = []
    for file in files:
        found = reading.rows(file, ("query",), _EXPECTED)
        for number, (where, row) in enumerate(found):
            cases.append(_case(f"{file.stem}-{number}", where, row))
    return PublicSuite("metatool", tuple(cases), reading.digest(files))


def _case(name: str, where: str, row: Mapping[str, Any]) -> PublicCase:
    if "action_prompt" in row and "tool" in row:
        return _selection(name, where, row)
    label = _LABELS.get(str(row.get("label")))
    if label is None or "thought_prompt" not in row:
        raise UsageError(f"{where}: expected {_EXPECTED}.")
    message = {"role": "user", "content": str(row["thought_prompt"])}
    return PublicCase(
        name,
        "metatool",
        "tool" if label == "tool" else "direct",
        "awareness",
        (message,),
        (),
        Expected(yes_no=True),
    )


def _selection(name: str, where: str, row: Mapping[str, Any]) -> PublicCase:
    wanted = row["tool"] if isinstance(row["tool"], list) else [row["tool"]]
    tools = _tools(where, str(row["action_prompt"]))
    is_offered = {str(tool) for tool in wanted} <= {tool.name for tool in tools}
    message = {"role": "user", "content": str(row["query"])}
    if not is_offered:
        return PublicCase(name, "metatool", "direct", "unavailable", (message,), tools, Expected())
    subtype = "several" if len(wanted) > 1 else "selection"
    calls = (tuple(Wanted(str(tool)) for tool in wanted),)
    return PublicCase(name, "metatool", "tool", subtype, (message,), tools, Expected(calls=calls))


def _tools(where: str, prompt: str) -> tuple[Offered, ...]:
    """The list in the prompt, as tools that take a text: the set gives them no parameters."""
    listed = _LISTED.finditer(prompt)
    functions = [{**match.groupdict(), "parameters": _QUERY} for match in listed]
    if not functions:
        raise UsageError(f"{where}: its action_prompt lists no tools; expected {_EXPECTED}.")
    return offered(functions, where)
