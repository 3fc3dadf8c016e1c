"""The tools of MCP servers, through PydanticAI's own client."""

import asyncio
import re
import tempfile
from collections.abc import Sequence
from contextlib import AsyncExitStack
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from agent import installing
from agent.answer import plain
from agent.exits import UsageError
from agent.mcp_servers import Server
from agent.plugins import NAME, as_text
from agent_tools import ToolError
from agent_tools.truncate import clip, limited

if TYPE_CHECKING:
    from pydantic_ai import Tool
    from pydantic_ai.mcp import MCPToolset

_START = 30.0  # seconds; servers started with npx or uvx may first have to be downloaded


class Connections:
    """The configured servers of one conversation, connected on first use."""

    def __init__(self, wanted: Sequence[Server], directory: Path, patience: float) -> None:
        """`patience`: seconds that a call may take. Raises UsageError when the extra is missing."""
        self._wanted = wanted
        self._directory = directory
        self._patience = patience
        self._stack = AsyncExitStack()
        if wanted:
            _require_extra()

    async def open(self) -> tuple[list["Tool[None]"], list[str]]:
        """The tools of all servers, and a sentence for each server that cannot be used."""
        outcomes = await asyncio.gather(*(self._open(server) for server in self._wanted))
        tools = [tool for outcome in outcomes if not isinstance(outcome, str) for tool in outcome]
        return tools, [outcome for outcome in outcomes if isinstance(outcome, str)]

    async def aclose(self) -> None:
        """End the servers that were started, and the connections to the others."""
        await self._stack.aclose()

    async def _open(self, server: Server) -> list["Tool[None]"] | str:
        log = self._stack.enter_context(tempfile.TemporaryFile("w+", errors="replace"))  # noqa: SIM115
        toolset = _toolset(server, self._directory, self._patience, log)
        try:
            await self._stack.enter_async_context(toolset)
            listed = await toolset.list_tools()
        except Exception as error:
            return (
                f"The MCP server {server.name!r} cannot be used, so its tools are missing: "
                f"{_reason(error, log)}."
            )
        names = [tool.name for tool in listed]
        missing = [name for name in server.tools or () if name not in names]
        if missing:
            return f"The MCP server {server.name!r} has no tool {missing[0]!r}, only {names}."
        chosen = [tool for tool in listed if server.tools is None or tool.name in server.tools]
        return [_tool(server, toolset, tool) for tool in chosen]


def _require_extra() -> None:
    try:
        import fastmcp.client  # noqa: F401
    except ImportError:
        how = installing.command("mcp")
        raise UsageError(
            f"MCP servers are configured, but their extra is not installed: {how}."
        ) from None


def _toolset(server: Server, directory: Path, patience: float, log: IO[str]) -> "MCPToolset[None]":
    from fastmcp.client.transports import StdioTransport
    from pydantic_ai.mcp import MCPToolset

    options: dict[str, Any] = {"id": server.name, "tool_error_behavior": "failed"}
    options |= {"init_timeout": min(_START, patience), "read_timeout": patience}
    if server.url is not None:
        return MCPToolset(server.url, headers=dict(server.headers) or None, **options)
    program, *arguments = server.command
    # The SDK adds a short list of harmless variables; ours, with the key in it, are not passed on.
    transport = StdioTransport(
        program,
        arguments,
        env=dict(server.env),
        cwd=str(directory),
        keep_alive=False,
        log_file=log,  # type: ignore[arg-type]
    )
    return MCPToolset(transport, **options)


def _tool(server: Server, toolset: "MCPToolset[None]", listed: Any) -> "Tool[None]":
    from pydantic_ai import Tool
    from pydantic_ai.exceptions import ModelRetry, ToolFailed

    async def call(**arguments: Any) -> str:
        try:
            return as_text(await toolset.direct_call_tool(listed.name, arguments))
        except (ModelRetry, ToolFailed) as error:
            raise ToolError(limited(f"{server.name}: {error}")) from error
        except Exception as error:
            raise ToolError(
                f"The MCP server {server.name!r} does not answer: {_reason(error)}."
            ) from error

    name = f"{server.name}_{listed.name}"
    return Tool.from_schema(
        call,
        name if NAME.fullmatch(name) else re.sub(r"[^A-Za-z0-9_-]", "_", name)[:64],
        listed.description,
        listed.input_schema,
        sequential=True,
    )


def _reason(error: BaseException, log: IO[str] | None = None) -> str:
    """One line on what went wrong: the last that the server itself said, else the first cause."""
    cause: BaseException | None = error
    while cause is not None:
        error = cause
        cause = error.exceptions[0] if isinstance(error, BaseExceptionGroup) else error.__cause__
    said = ""
    if log is not None:
        log.seek(0)
        said = next((line for line in reversed(log.read().splitlines()) if line.strip()), "")
    reason = said or str(error) or type(error).__name__
    return clip(" ".join(plain(reason).split()).rstrip("."), limit=300)
