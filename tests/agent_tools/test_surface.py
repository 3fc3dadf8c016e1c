"""What the rest of the product and the model see of the tools."""

import inspect
import json

from pydantic_ai import Tool

import agent_tools
from agent_tools import TOOLS, WRITES, Workspace

SIGNATURES = {
    "grep": "(pattern: str, path: str = '.', glob: str = '') -> str",
    "find_files": "(glob: str) -> str",
    "read_file": "(path: str, start: int = 1, end: int = 0) -> str",
    "write_file": "(path: str, content: str) -> str",
    "edit_file": "(path: str, old: str, new: str) -> str",
    "php_lint": "(path: str) -> str",
}


def test_signatures(workspace: Workspace) -> None:
    bound = {tool.__name__: tool.__get__(workspace) for tool in TOOLS}
    assert {name: str(inspect.signature(tool)) for name, tool in bound.items()} == SIGNATURES


def test_writing_tools_are_marked() -> None:
    assert {"write_file", "edit_file"} == WRITES


def test_names() -> None:
    assert set(agent_tools.__all__) == {
        *SIGNATURES, "TOOLS", "WRITES", "Change", "ToolError", "ToolUnavailable", "Workspace",
        "commit", "stop_running",
    }  # fmt: skip


def test_schemas_are_small(workspace: Workspace) -> None:
    definitions = [Tool(tool.__get__(workspace)).tool_def for tool in TOOLS]
    schemas = {d.name: [d.description, d.parameters_json_schema] for d in definitions}
    for description, schema in schemas.values():
        assert len(str(description)) <= 100
        for parameter in schema["properties"].values():  # type: ignore[index]
            assert 0 < len(parameter["description"]) <= 50
    assert len(json.dumps(schemas)) < 2200
