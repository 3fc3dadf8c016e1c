"""Answer a question about a codebase by really calling the tools, and keep the dialogue."""

import hashlib
import json
import tempfile
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from shutil import copyfile
from typing import Any

import agent_tools
from agent_tools import ToolError, Workspace
from agent_training.mine import Codebase

TOOLS: dict[str, Callable[..., str]] = {tool.__name__: tool for tool in agent_tools.TOOLS}
_WRITING = {"write_file", "edit_file"}


class Unusable(Exception):
    """A question that this codebase gives no good answer to; the message is the reason."""


class Executor:
    """Runs tools on one codebase, each distinct reading call once, remembered in `memory`."""

    def __init__(self, codebase: Codebase, memory: dict[str, str]) -> None:
        self._codebase = codebase
        self._workspace = Workspace(codebase.root)
        self._memory = memory

    def __call__(self, tool: str, arguments: dict[str, Any]) -> str:
        key = f"{tool} {json.dumps(arguments)}"
        if key not in self._memory:
            if tool in _WRITING:
                result = self._write(tool, arguments)
            else:
                result = called(self._workspace, tool, arguments)
            self._memory[key] = result
        return self._memory[key]

    def _write(self, tool: str, arguments: dict[str, Any]) -> str:
        """Changes happen to a copy of the one file they touch; a missing one cannot be edited."""
        if tool == "edit_file" and not (self._codebase.root / arguments["path"]).is_file():
            return called(self._workspace, tool, arguments)
        with tempfile.TemporaryDirectory() as folder:
            source, copy = self._codebase.root / arguments["path"], Path(folder, arguments["path"])
            if source.is_file():
                copy.parent.mkdir(parents=True, exist_ok=True)
                copyfile(source, copy)
            return called(Workspace(Path(folder)), tool, arguments)


def called(workspace: Workspace, tool: str, arguments: dict[str, Any]) -> str:
    """What a tool says; a refusal as the model sees it."""
    try:
        return TOOLS[tool](workspace, **arguments)
    except ToolError as error:
        return f"Error: {error}"


@dataclass
class Run:
    """One question's way to its answer: its slots, and the calls made so far."""

    codebase: Codebase
    slots: dict[str, str]
    execute: Callable[[str, dict[str, Any]], str]
    calls: list[tuple[str, dict[str, Any], str]] = field(default_factory=list)
    previous: "Run | None" = None
    """The run of the conversation's turn before."""
    answer: str = ""
    question: str = ""
    """As it is asked, for answers that look for its words."""

    def call(self, tool: str, **arguments: Any) -> str:
        """Run a tool; arguments in schema order, those equal to the default left out."""
        result = self.execute(tool, arguments)
        self.calls.append((tool, arguments, result))
        return result

    def slot(self, *names: str) -> str:
        """The first of the named slots that is filled. Raises Unusable if none is."""
        for name in names:
            if name in self.slots:
                return self.slots[name]
        raise Unusable(f"the frame has none of the slots {', '.join(names)}")

    @property
    def where(self) -> dict[str, str]:
        """The `path` argument of a search, if the question names a place."""
        place = self.slots.get("file") or self.slots.get("dir")
        return {"path": place} if place else {}

    def messages(self, question: str) -> list[dict[str, Any]]:
        """The turn in OpenAI style, with the answer that the intent gave."""
        turn: list[dict[str, Any]] = [{"role": "user", "content": question}]
        for number, (tool, arguments, result) in enumerate(self.calls, start=1):
            turn += [calling(tool, arguments, number), returned(result, number)]
        turn.append({"role": "assistant", "content": self.answer})
        return turn


def calling(tool: str, arguments: dict[str, Any], number: int = 1) -> dict[str, Any]:
    """The message that makes a turn's call of that number."""
    function = {"name": tool, "arguments": json.dumps(arguments, ensure_ascii=False)}
    call = {"id": f"call_{number}", "type": "function", "function": function}
    return {"role": "assistant", "content": "", "tool_calls": [call]}


def returned(result: str, number: int) -> dict[str, Any]:
    """The message with that call's result."""
    return {"role": "tool", "tool_call_id": f"call_{number}", "content": result}


def tools_version() -> str:
    """A hash of the tools' source: remembered results are valid for this version only."""
    folder = Path(agent_tools.__file__).parent
    digest = hashlib.sha256()
    for path in sorted(folder.glob("*.py")):
        digest.update(path.read_bytes())
    return digest.hexdigest()[:12]
