"""What an editor is told and tells, in the protocol's words."""

import json
import os
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal
from urllib.parse import unquote, urlsplit

from acp import helpers, schema
from pydantic_ai.messages import (
    ModelMessage,
    TextPart,
    ToolCallPart,
    ToolReturnPart,
    UserPromptPart,
)

from agent.answer import plain
from agent.events import ToolResult, ToolUse
from agent.mcp_servers import Server
from agent.preview import planned
from agent.rescue import arguments as parsed
from agent_tools import TOOLS, Workspace
from agent_tools.truncate import clip

Kind = Literal["read", "edit", "search", "execute", "other"]
_KINDS: Mapping[str, Kind] = {
    "grep": "search",
    "find_files": "search",
    "read_file": "read",
    "write_file": "edit",
    "edit_file": "edit",
    "php_lint": "execute",
}
_OURS = frozenset(tool.__name__ for tool in TOOLS)
_TITLE = 80


def started(use: ToolUse, workspace: Workspace) -> schema.ToolCallStart:
    """A tool call that begins, with the diff that it would make."""
    return helpers.start_tool_call(
        use.id,
        title(use.name, use.arguments),
        kind=_KINDS.get(use.name, "other"),
        status="pending",
        content=diff(use.name, use.arguments, workspace),
        locations=_locations(use, workspace),
        raw_input=dict(use.arguments),
    )


def finished(result: ToolResult) -> schema.ToolCallProgress:
    """What a tool call came to; a diff that was made stays what it shows."""
    done = result.outcome == "ok"
    shown = [helpers.tool_content(helpers.text_block(plain(result.result)))]
    return helpers.update_tool_call(
        result.id,
        status="completed" if done else "failed",
        content=None if done and _KINDS.get(result.name) == "edit" else shown,
        raw_output=result.result,
    )


def title(tool: str, arguments: Mapping[str, Any]) -> str:
    """A tool call on one line."""
    named = (
        {"path": arguments["path"]} if _KINDS.get(tool) == "edit" and "path" in arguments else {}
    )
    values = (
        value if isinstance(value, str) else json.dumps(value, default=str)
        for value in (named or arguments).values()
    )
    return clip(plain(" ".join(" ".join([tool, *values]).split())), limit=_TITLE)


def diff(
    tool: str, arguments: Mapping[str, Any], workspace: Workspace
) -> list[schema.FileEditToolCallContent] | None:
    """The change that a write would make; None for what writes nothing, or could not."""
    change = planned(workspace, tool, arguments)
    if change is None:
        return None
    path, before, after = change
    return [helpers.tool_diff_content(str(workspace.root / path), after, before)]


def _locations(use: ToolUse, workspace: Workspace) -> list[schema.ToolCallLocation] | None:
    path = use.arguments.get("path")
    if use.name not in _OURS or not isinstance(path, str) or "\0" in path:
        return None
    place = Path(os.path.normpath(workspace.root / path))
    if not place.is_relative_to(workspace.root):
        return None
    line = use.arguments.get("start")
    return [schema.ToolCallLocation(path=str(place), line=line if isinstance(line, int) else None)]


def question(blocks: Sequence[Any], root: Path) -> str:
    """The question in a prompt; files that it mentions by path, files that it contains after it."""
    words: list[str] = []
    contents: list[str] = []
    for block in blocks:
        if isinstance(block, schema.TextContentBlock):
            words.append(block.text)
        elif isinstance(block, schema.ResourceContentBlock):
            words.append(f"`{_path(block.uri, root)}`")
        elif isinstance(block, schema.EmbeddedResourceContentBlock):
            resource = block.resource
            path = _path(resource.uri, root)
            words.append(f"`{path}`")
            if isinstance(resource, schema.TextResourceContents):
                fence = max(re.findall(r"`{3,}", resource.text), default="``") + "`"
                contents.append(f"{path}:\n{fence}\n{resource.text}\n{fence}")
    return "\n\n".join(part for part in ("".join(words).strip(), *contents) if part)


def _path(uri: str, root: Path) -> str:
    parts = urlsplit(uri)
    if parts.scheme != "file":
        return uri
    path = Path(unquote(parts.path))
    return str(path.relative_to(root)) if path.is_relative_to(root) else str(path)


def history(messages: Iterable[ModelMessage], workspace: Workspace) -> Iterator[Any]:
    """A conversation as an editor shows it again."""
    for message in messages:
        for part in message.parts:
            if isinstance(part, UserPromptPart) and isinstance(part.content, str):
                yield helpers.update_user_message_text(part.content)
            elif isinstance(part, TextPart) and part.content:
                yield helpers.update_agent_message_text(plain(part.content))
            elif isinstance(part, ToolCallPart):
                use = ToolUse(
                    part.tool_call_id, part.tool_name, parsed(part.args_as_json_str()) or {}
                )
                start = started(use, workspace)
                # What the call would change today says nothing of what it changed then.
                yield start.model_copy(update={"content": None, "status": "completed"})
            elif isinstance(part, ToolReturnPart):
                text = helpers.text_block(plain(str(part.content)))
                yield helpers.update_tool_call(
                    part.tool_call_id, status="completed", content=[helpers.tool_content(text)]
                )


def servers(given: Sequence[Any]) -> tuple[Server, ...]:
    """The MCP servers that the editor's user has set up there."""
    made = []
    for server in given:
        name = re.sub(r"[^A-Za-z0-9-]+", "-", server.name).strip("-")[:32] or "editor"
        if isinstance(server, schema.McpServerStdio):
            env = {variable.name: variable.value for variable in server.env}
            made.append(Server(name, (server.command, *server.args), env=env))
        elif isinstance(server, schema.HttpMcpServer):
            headers = {header.name: header.value for header in server.headers}
            made.append(Server(name, url=server.url, headers=headers))
    return tuple(made)
