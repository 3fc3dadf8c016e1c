"""`agent mcp`: our tools for other programs, over the Model Context Protocol."""

import argparse
import functools
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from agent import installing
from agent.exits import Exit, UsageError

if TYPE_CHECKING:
    from mcp.server.mcpserver import MCPServer

    from agent.settings import Settings


def main(argv: Sequence[str]) -> int:
    """Serve the tools on standard input and output until the client goes."""
    options = _parser().parse_args(argv)
    root = Path(options.directory)
    if not root.is_dir():
        raise UsageError(f"There is no directory {options.directory!r}.")
    try:
        import mcp.server.mcpserver  # noqa: F401
    except ImportError:
        raise UsageError(f"`agent mcp` needs its extra: {installing.command('mcp')}.") from None
    from agent import settings

    # What the settings say of writing is for sessions in which somebody can be asked.
    mode = options.permission_mode
    server(root, settings.load({"permission_mode": mode}, root=root)).run("stdio")
    return Exit.OK


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="agent mcp",
        description="Serve our tools to an MCP client, confined to one codebase. Your permission "
        "rules hold; what they would ask for is denied, because nobody can be asked.",
        allow_abbrev=False,
    )
    parser.add_argument("-C", "--directory", default=".", help="the codebase; default: here")
    group = parser.add_mutually_exclusive_group()
    group.add_argument(
        "--read-only",
        dest="permission_mode",
        action="store_const",
        const="read-only",
        help="only tools that read; the default",
    )
    group.add_argument(
        "--permission-mode",
        choices=["read-only", "accept-edits"],
        help="accept-edits also offers write_file and edit_file",
    )
    parser.set_defaults(permission_mode="read-only")
    return parser


def server(root: Path, settings: "Settings") -> "MCPServer[Any]":
    """An MCP server with the tools that the permission mode lets a client use unasked."""
    from importlib.metadata import version

    from mcp.server.mcpserver import MCPServer
    from mcp.types import ToolAnnotations

    from agent.checkpoints import Checkpoints
    from agent.permissions import READS, Decision, Policy, decide, view
    from agent_tools import TOOLS, Workspace

    workspace = Workspace(root)
    workspace.around_commit = Checkpoints.create(root).recording
    policy = Policy(settings.permission_mode, None, settings.rules, workspace)
    made = MCPServer("agent", version=version("agent"), log_level="WARNING")
    for tool in TOOLS:
        name = tool.__name__
        if decide(policy.mode, name) is Decision.ALLOW:
            bound = tool.__get__(view(name, workspace, settings.rules))
            reads = ToolAnnotations(read_only_hint=name in READS, open_world_hint=False)
            made.add_tool(
                _permitted(bound, policy.refusal), annotations=reads, structured_output=False
            )
    return made


def _permitted(tool: Callable[..., str], refusal: Callable[..., Any]) -> Callable[..., Any]:
    """The tool as the server calls it: only if permitted, and with its failures as results."""
    import anyio.to_thread
    from mcp.server.mcpserver.exceptions import ToolError as Told

    from agent_tools import ToolError

    @functools.wraps(tool)
    async def call(**arguments: Any) -> str:
        refused = await refusal(tool.__name__, arguments, str)
        if refused is not None:
            raise Told(refused)
        try:
            return await anyio.to_thread.run_sync(functools.partial(tool, **arguments))
        except ToolError as error:
            raise Told(str(error)) from error

    return call
