"""One conversation of an editor with the assistant."""

import asyncio
from collections.abc import Sequence
from contextlib import suppress
from importlib.util import find_spec
from typing import Any

from acp import RequestError, helpers, schema
from acp.interfaces import Client

from agent import installing
from agent.acp import updates
from agent.answer import plain
from agent.assistant import Assistant
from agent.checkpoints import Checkpoints
from agent.connect import Endpoint
from agent.events import Delta, Event, Message, Notice, Problem, Result, ToolResult, ToolUse
from agent.exits import AgentError
from agent.journal import Journal
from agent.mcp_servers import Server
from agent.permissions import Request
from agent.settings import Settings

_STOPS: dict[str, schema.StopReason] = {
    "interrupted": "cancelled",
    "truncated": "max_tokens",
    "turn_limit": "max_turn_requests",
}
# A text that begins so may turn out to be a tool call that the model printed.
_DOUBTFUL = ("<", "{", "[", "`")


def has_mcp() -> bool:
    """Whether the extra for MCP servers is installed."""
    return find_spec("fastmcp") is not None


class Session:
    """The assistant, its journal, and the editor that is told what happens."""

    def __init__(
        self,
        client: Client,
        settings: Settings,
        endpoint: Endpoint,
        journal: Journal,
        servers: Sequence[Server],
    ) -> None:
        """Raises UsageError for settings that name a tool that does not exist."""
        self.client = client
        self.journal = journal
        self.assistant = Assistant(
            settings,
            endpoint,
            journal.root,
            self._emit,
            self._ask,
            journal=journal,
            checkpoints=Checkpoints.create(journal.root),
            servers=servers if has_mcp() else (),
        )
        self._told: asyncio.Queue[Any] = asyncio.Queue()
        if servers and not has_mcp():
            how = installing.command("mcp")
            self._emit(Notice("mcp", f"The editor's MCP servers are not used: {how}."))
        self._running: asyncio.Task[Result] | None = None
        self._held = ""
        self._begun = False
        self._call: ToolUse | None = None

    @property
    def id(self) -> str:
        """The id of the session, in the journal and in the protocol."""
        return self.journal.session_id

    async def replay(self) -> None:
        """Show the conversation so far again."""
        for update in updates.history(self.assistant.messages, self.assistant.workspace):
            await self.client.session_update(self.id, update)

    async def prompt(self, blocks: Sequence[Any]) -> schema.StopReason:
        """Answer a question; everything is told before this returns.

        Raises:
            RequestError: the session is still answering, or there is no question.
        """
        if self._running is not None:
            raise RequestError(-32600, "The session is still answering; cancel that first.")
        question = updates.question(blocks, self.assistant.workspace.root)
        if not question or "\0" in question:
            raise RequestError(-32602, "There is no question in the prompt, or no text.")
        self._running = asyncio.create_task(self.assistant.ask(question))
        telling = asyncio.create_task(self._tell())
        try:
            await asyncio.wait({self._running})
        finally:
            running, self._running = self._running, None
            running.cancel()
            self._told.put_nowait(None)
        await telling
        if running.cancelled():
            return "cancelled"
        return _STOPS.get(running.result().subtype, "end_turn")

    def cancel(self) -> None:
        """Break off the answer, if there is one."""
        if self._running is not None:
            self._running.cancel()

    async def aclose(self) -> None:
        """End the conversation; it can be loaded again."""
        if self._running is not None:
            self._running.cancel()
            await asyncio.wait({self._running})
        await self.assistant.aclose()
        self.journal.close()

    async def _tell(self) -> None:
        while (update := await self._told.get()) is not None:
            with suppress(ConnectionError):
                await self.client.session_update(self.id, update)
            self._told.task_done()

    def _emit(self, event: Event) -> None:
        if isinstance(event, Delta):
            self._show(event.text)
        elif isinstance(event, Message):
            self._release()
        elif isinstance(event, ToolUse):
            self._held, self._begun, self._call = "", False, event
            self._told.put_nowait(updates.started(event, self.assistant.workspace))
        elif isinstance(event, ToolResult):
            self._told.put_nowait(updates.finished(event))
        elif isinstance(event, Notice):
            self._told.put_nowait(helpers.update_agent_thought_text(plain(event.message)))
        elif isinstance(event, Problem):
            self._release()
            if event.subtype != "interrupted":
                self._say(f"\n\n{plain(event.message)}")
        elif isinstance(event, Result):
            self._release()

    def _show(self, text: str) -> None:
        self._held += text
        doubtful = not self._begun and self._held.lstrip().startswith(_DOUBTFUL)
        if self._held.strip() and not doubtful:
            self._begun = True
            self._say(self._held)
            self._held = ""

    def _release(self) -> None:
        if self._held.strip():
            self._say(self._held)
        self._held, self._begun = "", False

    def _say(self, text: str) -> None:
        self._told.put_nowait(helpers.update_agent_message_text(text))

    async def _ask(self, request: Request) -> bool:
        """The user's permission, given in the editor; without a clear yes it is a no."""
        use = self._call
        if use is None:
            return False
        workspace = self.assistant.workspace
        shown: list[Any] = updates.diff(use.name, use.arguments, workspace) or [
            helpers.tool_content(helpers.text_block(plain(request.preview)))
        ]
        call = schema.ToolCallUpdate(
            tool_call_id=use.id,
            title=updates.title(use.name, use.arguments),
            status="pending",
            content=shown,
            raw_input=dict(use.arguments),
        )
        # The editor must know of the call before it is asked about it.
        await self._told.join()
        try:
            reply = await self.client.request_permission(self.id, call, _options(request))
        except (RequestError, ConnectionError):
            return False
        outcome = reply.outcome
        if not isinstance(outcome, schema.AllowedOutcome):
            return False
        if outcome.option_id == "always":
            try:
                request.always()
            except AgentError as error:
                self._say(f"\n\nAllowed only this once: {plain(str(error))}\n\n")
        return outcome.option_id in ("once", "always")


def _options(request: Request) -> list[schema.PermissionOption]:
    always = f"Always allow {plain(request.pattern)} here"
    return [
        schema.PermissionOption(option_id="once", name="Allow", kind="allow_once"),
        schema.PermissionOption(option_id="always", name=always, kind="allow_always"),
        schema.PermissionOption(option_id="no", name="Reject", kind="reject_once"),
    ]
