"""The conversation behind the terminal: model, session, checkpoints, context."""

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from agent.events import Emit, Result
from agent.exits import AgentError
from agent.permissions import Asker
from agent.settings import Settings

if TYPE_CHECKING:
    from agent.assistant import Assistant
    from agent.connect import Endpoint
    from agent.journal import Journal

_LISTED = 20
_LOADING = "The model is still loading; try again in a moment."


class Conversation:
    """A session with one model about `directory`; `load` comes before anything else.

    `session`: the beginning of an id to resume, "" for the latest, None for a new one.
    """

    def __init__(
        self,
        settings: Settings,
        directory: Path,
        emit: Emit,
        asker: Asker,
        session: str | None = None,
    ) -> None:
        self.settings = settings
        self.directory = directory
        self.endpoint: Endpoint | None = None
        self.last: Result | None = None
        self._emit = emit
        self._asker = asker
        self._session = session
        self._assistant: Assistant | None = None

    async def load(self) -> None:
        """Connect to the model, in a thread: the prompt must not wait for it.

        Raises:
            AgentError: no model answers, or the session cannot be resumed.
        """
        endpoint, journal = await asyncio.to_thread(self._prepare)
        self.endpoint = endpoint
        self._begin(journal)

    def _prepare(self) -> "tuple[Endpoint, Journal]":
        import agent.assistant  # noqa: F401 - PydanticAI takes a second to import
        from agent import connect
        from agent.journal import Journal

        journal = (
            Journal.create(self.directory)
            if self._session is None
            else Journal.resume(self.directory, self._session or None)
        )
        try:
            return connect.connect(self.settings), journal
        except BaseException:
            journal.close()
            raise

    def _begin(self, journal: "Journal") -> None:
        from agent.assistant import Assistant
        from agent.checkpoints import Checkpoints

        assert self.endpoint is not None
        self._assistant = Assistant(
            self.settings,
            self.endpoint,
            self.directory,
            self._emit,
            self._asker,
            journal=journal,
            checkpoints=Checkpoints(self.directory, journal.session_id),
        )

    @property
    def assistant(self) -> "Assistant":
        """Raises AgentError while there is none yet."""
        if self._assistant is None:
            raise AgentError(_LOADING)
        return self._assistant

    @property
    def journal(self) -> "Journal":
        """The session's record."""
        assert self.assistant.journal is not None
        return self.assistant.journal

    async def ask(self, question: str) -> None:
        """Answer one question; what happens is told to `emit`."""
        self.last = await self.assistant.ask(question)

    def set_mode(self, mode: str) -> None:
        """The permission mode from the next call on."""
        self.settings = replace(self.settings, permission_mode=mode)
        if self._assistant is not None:
            self._assistant.policy.mode = mode

    def permissions(self) -> list[str]:
        """The mode and the rules, a line each."""
        rules = self.assistant.policy.rules
        lines = [f"mode {self.settings.permission_mode}"]
        for name in ("deny", "ask", "allow"):
            lines += [f"{name:<5} {pattern}" for pattern in getattr(rules, name)]
        return lines

    def new(self) -> None:
        """Begin another session; this one is kept."""
        self.assistant.forget()
        self.last = None

    async def resume(self, wanted: str | None) -> str:
        """Go on with an earlier session; returns what to say.

        Raises:
            UsageError: there is no such session, or it is open elsewhere; this one goes on.
        """
        from agent.journal import Journal

        journal = Journal.resume(self.directory, wanted)
        await self._let_go()
        self._begin(journal)
        return f"Going on with session {journal.session_id[:8]}. {self.left_out}".strip()

    @property
    def left_out(self) -> str:
        """What of a resumed session the model does not see, if anything."""
        turns = self.journal.left_out
        return f"The model does not see its first {turns} turns." if turns else ""

    def sessions(self) -> dict[str, str]:
        """The ids of the latest sessions, with their titles."""
        from agent import sessions
        from agent.answer import plain

        latest = islice(sessions.summaries(self.directory), _LISTED)
        return {each.id[:8]: " ".join(plain(each.title).split()) for each in latest}

    def compact(self) -> str:
        """Make room in the conversation; returns what went."""
        return self.assistant.compact().message

    def context(self) -> list[str]:
        """What fills the context window, a line each."""
        filling = self.assistant.context.filling(self.assistant.messages)
        known = [(what, tokens) for what, tokens in filling.rows() if tokens is not None]
        lines = [f"{tokens:>8} {what}" for what, tokens in known]
        window = f"of a window of {filling.window}" if filling.window else "window not known"
        return [*lines, f"{filling.used:>8} tokens used, {window}", *filter(None, [filling.note])]

    @property
    def filled(self) -> str:
        """Tokens used and the window, for the status line."""
        if self._assistant is None:
            return ""
        filling = self._assistant.context.filling(self._assistant.messages)
        if not filling.window:
            return f"{filling.used} tokens"
        return f"{filling.used}/{filling.window} tokens"

    def undo(self, count: int | Literal["all"]) -> list[str]:
        """Take back writes of this session, newest first; what came of each."""
        from agent import checkpoints

        kept = self.assistant.checkpoints
        assert kept is not None
        if not kept.standing():
            return ["There is nothing to undo in this conversation."]
        undone = kept.undo(
            count, on_undone=lambda one: self.journal.undone(one.path, one.outcome, one.reason)
        )
        return checkpoints.summary(undone)

    def diff(self) -> str:
        """What the assistant changed in this session."""
        kept = self.assistant.checkpoints
        assert kept is not None
        return kept.diff().encode("utf-8", "surrogateescape").decode("utf-8", "replace")

    def rate(self, verdict: Literal["good", "bad", "fix"], note: str) -> None:
        """The user's judgement of the last answer.

        Raises:
            AgentError: nothing was answered yet.
        """
        if self.last is None:
            raise AgentError("There is no answer yet to rate.")
        self.journal.rated(verdict, note)

    async def use(self, model: str) -> None:
        """Go on with another model; without one that answers, this one stays.

        Raises:
            AgentError: no such model answers.
        """
        from agent import connect

        settings = replace(self.settings, model=None if model == "embedded" else model)
        endpoint = await asyncio.to_thread(connect.connect, settings)
        messages, journal = self.assistant.messages, self.journal
        before = self.endpoint
        self.settings, self.endpoint = settings, endpoint
        await self.assistant.aclose()
        self._begin(journal)
        self.assistant.messages = messages
        if before is not None:
            before.close()

    async def _let_go(self) -> None:
        if self._assistant is not None:
            self.journal.close()
            await self._assistant.aclose()
            self._assistant = None

    async def close(self) -> Sequence[str]:
        """Let go of session and model; returns what the user should know."""
        problem = self.journal.problem if self._assistant else None
        await self._let_go()
        if self.endpoint is not None:
            self.endpoint.close()
        return [problem] if problem else []
