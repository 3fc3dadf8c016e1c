"""The agent side of the protocol: sessions by id, and one endpoint for all that want the same."""

import asyncio
import os
import stat
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, redirect_stdout
from importlib.metadata import version
from pathlib import Path
from typing import Any, cast

from acp import PROTOCOL_VERSION, Agent, RequestError, run_agent, schema
from acp.core import DEFAULT_STDIO_BUFFER_LIMIT_BYTES
from acp.interfaces import Client
from acp.stdio import stdio_streams

from agent import connect, sessions, settings
from agent.acp import updates
from agent.acp.session import Session, has_mcp
from agent.connect import Endpoint
from agent.exits import AgentError, UsageError
from agent.journal import Journal
from agent.settings import MODES, Settings

_MODES = {
    "read-only": "writes nothing",
    "ask": "asks before each write",
    "accept-edits": "writes files of the codebase without asking",
    "yolo": "uses every tool without asking",
}


async def serve(flags: Mapping[str, object]) -> None:
    """Serve one editor on standard input and output until it goes.

    `flags`: settings from the command line.

    Raises:
        UsageError: standard input or output is no pipe.
    """
    if not all(_is_pipe(stream.fileno()) for stream in (sys.stdin, sys.stdout)):
        raise UsageError("`agent acp` talks to an editor through pipes; start it there.")
    reader, writer = await stdio_streams(limit=DEFAULT_STDIO_BUFFER_LIMIT_BYTES)
    served = Served(flags)
    # Nothing but the protocol may reach standard output.
    with redirect_stdout(sys.stderr):
        try:
            await run_agent(cast(Agent, served), writer, reader)
        finally:
            await served.aclose()


def _is_pipe(descriptor: int) -> bool:
    mode = os.fstat(descriptor).st_mode
    return stat.S_ISFIFO(mode) or stat.S_ISSOCK(mode)


class Served:
    """What an editor may ask of the assistant."""

    client: Client

    def __init__(self, flags: Mapping[str, object]) -> None:
        self._flags = flags
        self._sessions: dict[str, Session] = {}
        self._endpoints: dict[tuple[str | None, ...], Endpoint] = {}
        self._connecting = asyncio.Lock()

    def on_connect(self, conn: Client) -> None:
        """Called with the editor's side."""
        self.client = conn

    async def initialize(
        self, protocol_version: int, *_: Any, **more: Any
    ) -> schema.InitializeResponse:
        """Say what is understood."""
        return schema.InitializeResponse(
            protocol_version=min(protocol_version, PROTOCOL_VERSION),
            agent_capabilities=schema.AgentCapabilities(
                load_session=True,
                prompt_capabilities=schema.PromptCapabilities(embedded_context=True),
                mcp_capabilities=schema.McpCapabilities(http=has_mcp()),
                session_capabilities=schema.SessionCapabilities(
                    list=schema.SessionListCapabilities()
                ),
            ),
            agent_info=schema.Implementation(name="agent", title="agent", version=version("agent")),
            auth_methods=[],
        )

    async def authenticate(self, method_id: str, **more: Any) -> schema.AuthenticateResponse:
        """There is nobody to prove oneself to."""
        return schema.AuthenticateResponse()

    async def new_session(
        self, cwd: str, *_: Any, mcp_servers: Sequence[Any] | None = None, **more: Any
    ) -> schema.NewSessionResponse:
        """Begin a conversation about a directory."""
        session = await self._begin(cwd, None, mcp_servers)
        return schema.NewSessionResponse(session_id=session.id, modes=_modes(session))

    async def load_session(
        self,
        cwd: str,
        session_id: str,
        mcp_servers: Sequence[Any] | None = None,
        *_: Any,
        **more: Any,
    ) -> schema.LoadSessionResponse:
        """Go on with a conversation, shown again first."""
        session = await self._begin(cwd, session_id, mcp_servers)
        await session.replay()
        return schema.LoadSessionResponse(modes=_modes(session))

    async def list_sessions(
        self, cwd: str | None = None, *_: Any, **more: Any
    ) -> schema.ListSessionsResponse:
        """The conversations about a directory."""
        found = sessions.summaries(_directory(cwd)) if cwd else ()
        return schema.ListSessionsResponse(
            sessions=[
                schema.SessionInfo(
                    session_id=one.id, cwd=one.directory, title=one.title, updated_at=one.last
                )
                for one in found
            ]
        )

    async def set_session_mode(
        self, session_id: str, mode_id: str, **more: Any
    ) -> schema.SetSessionModeResponse:
        """Change the permission mode."""
        if mode_id not in MODES:
            raise RequestError(-32602, f"The modes are {', '.join(MODES)}, not {mode_id!r}.")
        self._session(session_id).assistant.policy.mode = mode_id
        return schema.SetSessionModeResponse()

    async def prompt(
        self, session_id: str, prompt: Sequence[Any], **more: Any
    ) -> schema.PromptResponse:
        """Answer a question."""
        return schema.PromptResponse(stop_reason=await self._session(session_id).prompt(prompt))

    async def cancel(self, session_id: str, **more: Any) -> None:
        """Break off an answer."""
        if session_id in self._sessions:
            self._sessions[session_id].cancel()

    async def aclose(self) -> None:
        """End everything."""
        closing = [session.aclose() for session in self._sessions.values()]
        await asyncio.gather(*closing, return_exceptions=True)
        for endpoint in self._endpoints.values():
            endpoint.close()

    def _session(self, session_id: str) -> Session:
        if session_id not in self._sessions:
            raise RequestError(-32602, f"There is no open session {session_id!r}.")
        return self._sessions[session_id]

    async def _begin(
        self, cwd: str, session_id: str | None, mcp_servers: Sequence[Any] | None
    ) -> Session:
        root = _directory(cwd)
        if session_id in self._sessions:
            await self._sessions.pop(session_id).aclose()
        with _explained():
            chosen = settings.load(self._flags, root=root)
            endpoint = await self._endpoint(chosen)
            journal = _journal(root, session_id)
            try:
                servers = updates.servers(mcp_servers or ())
                session = Session(self.client, chosen, endpoint, journal, servers)
            except BaseException:
                journal.close()
                raise
        self._sessions[session.id] = session
        return session

    async def _endpoint(self, chosen: Settings) -> Endpoint:
        key = (chosen.base_url, chosen.model, chosen.adapter, chosen.api_key)
        async with self._connecting:
            if key not in self._endpoints:
                self._endpoints[key] = await asyncio.to_thread(connect.connect, chosen)
            return self._endpoints[key]


@contextmanager
def _explained() -> Iterator[None]:
    """Problems as the protocol reports them."""
    try:
        yield
    except AgentError as error:
        code = -32602 if isinstance(error, UsageError) else -32603
        raise RequestError(code, str(error)) from error


def _journal(root: Path, session_id: str | None) -> Journal:
    if session_id is None:
        return Journal.create(root)
    journal = Journal.resume(root, session_id)
    if journal.session_id != session_id:  # the beginning of an id is enough for people only
        journal.close()
        raise UsageError(f"There is no session {session_id!r}.")
    return journal


def _directory(cwd: str) -> Path:
    path = Path(cwd)
    if not path.is_absolute() or not path.is_dir():
        raise RequestError(-32602, f"{cwd!r} is no absolute path of a directory.")
    return path.resolve()


def _modes(session: Session) -> schema.SessionModeState:
    return schema.SessionModeState(
        current_mode_id=session.assistant.policy.mode,
        available_modes=[
            schema.SessionMode(id=mode, name=mode, description=meaning)
            for mode, meaning in _MODES.items()
        ],
    )
