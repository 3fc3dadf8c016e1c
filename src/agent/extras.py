"""The tools of one conversation beyond our six: the user's own and those of MCP servers."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from agent import plugins
from agent.mcp_servers import Server, combined
from agent.permissions import view
from agent.settings import Settings
from agent_tools import TOOLS, Workspace

if TYPE_CHECKING:
    from pydantic_ai import Tool
    from pydantic_ai.toolsets import FunctionToolset


class Extras:
    """What the settings name; MCP servers are connected before the first question."""

    def __init__(
        self, settings: Settings, workspace: Workspace, servers: Sequence[Server] = ()
    ) -> None:
        """`servers`: MCP servers besides the configured ones.

        Raises:
            UsageError: a user tool cannot be loaded, or the extra for MCP is missing.
        """
        named = plugins.load(settings.extra_tools)
        self.read_only = frozenset(tool.name for tool in named if tool.read_only)
        self._servers = {server.name: server for server in combined(settings.mcp, servers)}
        self._allowed = settings.allowed_tools
        self._tools = self._kept(
            [plugins.as_tool(tool, view(tool.name, workspace, settings.rules)) for tool in named]
        )
        self._connections = None
        if self._servers:
            from agent.mcp_client import Connections

            wanted = list(self._servers.values())
            self._connections = Connections(wanted, workspace.root, settings.timeout)
        self._opened = False

    def offers(self, name: str) -> bool:
        """Whether a tool of this name is, or may turn out to be, among them."""
        server = name.split("_", 1)[0]
        return name in self.names or server in self._servers

    @property
    def names(self) -> tuple[str, ...]:
        """The names of the tools known so far."""
        return tuple(tool.name for tool in self._tools)

    def toolset(self) -> "FunctionToolset[None]":
        """The tools as PydanticAI takes them."""
        from pydantic_ai.toolsets import FunctionToolset

        return FunctionToolset(self._tools)

    async def open(self) -> list[str]:
        """Connect the MCP servers, once; a sentence for each that cannot be used."""
        if self._opened or self._connections is None:
            return []
        self._opened = True
        tools, problems = await self._connections.open()
        taken = {tool.__name__ for tool in TOOLS} | set(self.names)
        for tool in self._kept(tools):
            if tool.name in taken:
                problems.append(f"The MCP tool {tool.name!r} is left out: the name is taken.")
            else:
                taken.add(tool.name)
                self._tools.append(tool)
        return problems

    async def aclose(self) -> None:
        """End the MCP servers."""
        if self._connections is not None:
            await self._connections.aclose()

    def _kept(self, tools: list["Tool[None]"]) -> list["Tool[None]"]:
        return [tool for tool in tools if self._allowed is None or tool.name in self._allowed]
