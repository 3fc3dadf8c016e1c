"""The terminal: what is typed goes to the model, to a command or to the shell.

The line stays open while an answer is written, so that one can type ahead, interrupt with Esc and
answer a question about a permission.
"""

import asyncio
import signal
import subprocess
from collections import deque
from pathlib import Path

from prompt_toolkit.application import run_in_terminal
from prompt_toolkit.utils import is_dumb_terminal

from agent.answer import plain
from agent.events import Event
from agent.exits import BY_SUBTYPE, AgentError, Exit
from agent.permissions import Request
from agent.repl import commands
from agent.repl.completion import Words
from agent.repl.conversation import Conversation
from agent.repl.line import PROMPT, Line
from agent.repl.plain_line import PlainLine
from agent.repl.view import View, clip, console
from agent.settings import MODES, Settings

GREETING = "Ask about {name}. /help lists commands, Ctrl-C interrupts, Ctrl-D quits."
CHOICE = "[y]es / [a]lways here / [N]o "


class Repl:
    """One terminal with one conversation; `session` as in `Conversation`."""

    def __init__(
        self, settings: Settings, directory: Path, history: Path | None, session: str | None = None
    ) -> None:
        self.directory = directory
        self.view = View(console())
        self.talk: Conversation = Conversation(settings, directory, self._emit, self._may, session)
        self.leaving = False
        self._code: int = Exit.OK
        self.line: Line | PlainLine
        if is_dumb_terminal():
            self.line = PlainLine(self)
        else:
            words = Words(
                commands.meanings(), lambda name: commands.arguments(self, name), self._files
            )
            self.line = Line(self, words, history)
        self._loading: asyncio.Task[None] | None = None
        self._running: asyncio.Task[None] | None = None
        self._commanding: asyncio.Task[None] | None = None
        self._waiting: deque[str] = deque()
        self._reply: asyncio.Future[str] | None = None
        self._asked = ""
        self._one_question = asyncio.Lock()
        self._open_question = asyncio.Event()

    async def run(self) -> int:
        """Converse until the user leaves; returns the exit code."""
        self.view.note(GREETING.format(name=plain(self.directory.resolve().name)))
        with self.line.opened():
            self._loading = asyncio.create_task(self._load())
            while not self.leaving:
                if not self.line.type_ahead:
                    await self._settled()
                try:
                    text = await self.line.read()
                except EOFError:
                    break
                await self._take(text)
            await self._close()
        return self._code

    async def _settled(self) -> None:
        """Wait until nothing more is being written, or a question of ours is open."""
        while self._reply is None:
            work = {task for task in (self._running, self._commanding) if task and not task.done()}
            if not work:
                return
            asking = asyncio.create_task(self._open_question.wait())
            await asyncio.wait({*work, asking}, return_when=asyncio.FIRST_COMPLETED)
            asking.cancel()

    async def _load(self) -> None:
        # The imports of a thread would keep the prompt from the screen.
        await self.line.shown()
        try:
            await self.talk.load()
            if self.talk.left_out:
                self.view.note(self.talk.left_out)
        except AgentError as error:
            self.view.note(str(error), "red")
            self._code = BY_SUBTYPE[error.subtype]
            self.leaving = True
            self.line.leave()
        self.line.redraw()

    async def _take(self, text: str) -> None:
        if self._reply is not None:
            self._reply.set_result(text.strip().lower())
            self._reply = None
            return
        text = text.strip()
        if text.startswith("!"):
            await self.shell(text[1:].strip())
        elif commands.is_command(text):
            await self._command(text)
        elif text:
            self.submit(without_mentions(text))

    async def _command(self, text: str) -> None:
        """Run a command until it is done or asks something, which the next line answers."""
        self._commanding = running = asyncio.create_task(commands.run(self, text))
        asking = asyncio.create_task(self._open_question.wait())
        await asyncio.wait({running, asking}, return_when=asyncio.FIRST_COMPLETED)
        asking.cancel()
        if running.done():
            running.result()

    def submit(self, question: str) -> None:
        """Ask the model; while it answers another question this one waits."""
        if self.busy:
            self._waiting.append(question)
            self.view.note(f"Asked next: {question}")
        else:
            self._running = asyncio.create_task(self._answer(question))

    async def _answer(self, question: str) -> None:
        assert self._loading is not None
        try:
            await asyncio.shield(self._loading)
            if not self.leaving:
                await self.talk.ask(question)
        except asyncio.CancelledError:
            self.view.note("Interrupted.", "yellow")
        finally:
            self._running = None
            self.view.partial = ""
            if self._waiting and not self.leaving:
                self.submit(self._waiting.popleft())
            self.line.redraw()

    def _emit(self, event: Event) -> None:
        self.view(event)
        self.line.redraw()

    async def _may(self, request: Request) -> bool:
        """The user's decision on a call; anything but yes and always is a no."""
        self.view.diff(request.preview)
        # On one line, so that a path cannot add a question of its own.
        reply = await self.ask(self._allow(" ".join(plain(request.pattern).split())))
        if reply in ("a", "always"):
            try:
                request.always()
            except AgentError as error:
                self.view.note(f"Allowed only this once: {error}", "yellow")
        return reply in ("y", "yes", "a", "always")

    def _allow(self, pattern: str) -> str:
        """The question; on a narrow terminal of two lines, with what is too long shown above."""
        width = self.view.console.width
        question = f"Allow {pattern}? {CHOICE}"
        if len(question) < width:
            return question
        short = clip(pattern, width - len("Allow ? "))
        if short != pattern:
            self.view.note(pattern, "")
        return f"Allow {short}?\n{CHOICE}"

    async def ask(self, question: str) -> str:
        """The user's reply to a question of ours, in lower case; what was typed comes back."""
        async with self._one_question:
            put_back = self.line.set_aside()
            self._asked = plain(question)
            self._reply = asyncio.get_running_loop().create_future()
            self._open_question.set()
            self.line.redraw()
            try:
                return await self._reply
            finally:
                self._open_question.clear()
                self._reply, self._asked = None, ""
                put_back()
                self.line.redraw()

    async def shell(self, command: str) -> None:
        """Run a command of the user's with the terminal to itself; the model sees none of it."""
        if not command:
            self.view.note("Type a command after the !, such as !git status")
            return

        def call() -> int:
            before = signal.signal(signal.SIGINT, signal.SIG_IGN)
            try:
                child = subprocess.Popen(
                    command, shell=True, cwd=self.directory,
                    preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
                )  # fmt: skip
                return child.wait()
            finally:
                signal.signal(signal.SIGINT, before)

        with self.line.lent():
            code = await run_in_terminal(call)
        if code:
            self.view.note(f"exit code {code}", "yellow")

    @property
    def busy(self) -> bool:
        """Whether a question is being answered."""
        return self._running is not None

    def interrupt(self) -> bool:
        """Stop the answer being written, with the programs its tools started."""
        if self._running is None:
            return False
        from agent_tools import stop_running

        self._waiting.clear()
        stop_running()
        self._running.cancel()
        return True

    def cycle_mode(self) -> None:
        """The next permission mode, from the most careful to the least."""
        mode = MODES.index(self.talk.settings.permission_mode)
        self.talk.set_mode(MODES[(mode + 1) % len(MODES)])
        self.line.redraw()

    @property
    def partial(self) -> str:
        return "" if self._asked else self.view.partial

    @property
    def prompt(self) -> str:
        return self._asked or PROMPT

    @property
    def status(self) -> list[str]:
        """Model, permission mode, what is going on, context used and speed."""
        talk = self.talk
        name = talk.endpoint.model.rstrip("/").rpartition("/")[2] if talk.endpoint else ""
        parts = [plain(name) or "loading the model", talk.settings.permission_mode]
        if self.busy:
            parts.append("Esc interrupts")
        parts.append(talk.filled)
        written = talk.last.usage.get("output_tokens") if talk.last else None
        if talk.last is not None and written and talk.last.duration_ms:
            parts.append(f"{written / talk.last.duration_ms * 1000:.0f} tokens/s")
            parts.append(f"{talk.last.usage.get('cached_tokens', 0)} cached")
        return [part for part in parts if part]

    def _files(self) -> list[str]:
        from agent_tools import Workspace, ripgrep

        return ripgrep.files(Workspace(self.directory))

    async def _close(self) -> None:
        self.interrupt()
        pending = [task for task in (self._running, self._loading) if task is not None]
        if self._loading is not None and not self._loading.done():
            self._loading.cancel()
        await asyncio.gather(*pending, return_exceptions=True)
        for sentence in await self.talk.close():
            self.view.note(sentence, "yellow")


def without_mentions(question: str) -> str:
    """`@src/a.py` is typed for the completion's sake; the model gets the path."""
    words = question.split(" ")
    return " ".join(w[1:] if w[:1] == "@" and ("/" in w or "." in w) else w for w in words)
