"""The line at the bottom: editing, completion, history, keys and the status below it."""

import asyncio
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from pathlib import Path
from typing import Protocol

from prompt_toolkit import PromptSession
from prompt_toolkit.application import get_app
from prompt_toolkit.completion import Completer
from prompt_toolkit.filters import Condition, has_completions
from prompt_toolkit.formatted_text import StyleAndTextTuples
from prompt_toolkit.history import FileHistory
from prompt_toolkit.key_binding import KeyBindings, KeyPressEvent
from prompt_toolkit.patch_stdout import patch_stdout
from prompt_toolkit.styles import Style
from rich.console import Console
from rich.text import Text

from agent.repl.completion import may_complete
from agent.repl.keyboard import Keyboard

PROMPT = "> "
_ESCAPE_SECONDS = 0.05  # a lone Esc is known from an Alt combination after this time
_FRAME_SECONDS = 1 / 30
_STYLE = Style.from_dict({"bottom-toolbar": "noreverse", "partial": "", "status": "#888888"})


class Owner(Protocol):
    """Whom the keys act on."""

    @property
    def partial(self) -> str:
        """Text still being written, shown above the prompt."""
        ...

    @property
    def prompt(self) -> str:
        """What stands before the line."""
        ...

    @property
    def status(self) -> Sequence[str]:
        """The line below, what matters most first; what has no room is left out."""
        ...

    def interrupt(self) -> bool:
        """Stop what runs; False when nothing does."""
        ...

    def cycle_mode(self) -> None:
        """The next permission mode."""
        ...


class Line:
    """Reads what the user types, also while an answer is being written.

    `history`: a file; None keeps nothing.
    """

    type_ahead = True

    def __init__(self, owner: Owner, completer: Completer, history: Path | None) -> None:
        self._owner = owner
        self._warned = False
        self._drawing = False
        self._keyboard = Keyboard()
        self._session: PromptSession[str] = PromptSession(
            input=self._keyboard,
            message=self._message,
            completer=completer,
            complete_in_thread=True,
            # The room for the list of completions is taken only while there can be one.
            complete_while_typing=Condition(self._completes),
            history=_history(history) if history else None,
            bottom_toolbar=self._toolbar,
            key_bindings=self._keys(),
            style=_STYLE,
            multiline=False,
        )
        self._session.app.ttimeoutlen = _ESCAPE_SECONDS
        self._shown = asyncio.Event()
        self._session.app.after_render += lambda _: self._shown.set()

    @contextmanager
    def opened(self) -> Iterator[None]:
        """The block in which lines are read and whatever is printed goes above the line."""
        with patch_stdout(raw=True), self._keyboard.raw_mode():
            yield

    def lent(self) -> AbstractContextManager[None]:
        """The block in which a program of the user's may have the terminal."""
        return self._keyboard.lent()

    async def read(self) -> str:
        """The next line. Raises EOFError for Ctrl-D, or a second Ctrl-C, on an empty line."""
        text = await self._session.prompt_async()
        self._warned = False
        return text

    async def shown(self) -> None:
        """Wait until there is a prompt."""
        await self._shown.wait()

    def set_aside(self) -> Callable[[], None]:
        """Empty the line for another question; what is returned puts back what was typed."""
        buffer = self._session.default_buffer
        typed = buffer.document
        buffer.reset()

        def restore() -> None:
            buffer.document = typed

        return restore

    def leave(self) -> None:
        """End the reading as Ctrl-D does."""
        if self._session.app.is_running:
            self._session.app.exit(exception=EOFError)

    def redraw(self) -> None:
        """Show soon what is new above or below the line; keys are shown at once."""
        if not self._drawing:
            self._drawing = True
            asyncio.get_running_loop().call_later(_FRAME_SECONDS, self._draw)

    def _draw(self) -> None:
        self._drawing = False
        if self._session.app.is_running:
            self._session.app.invalidate()

    def _completes(self) -> bool:
        return may_complete(self._session.default_buffer.document.text_before_cursor)

    def _message(self) -> StyleAndTextTuples:
        partial = self._owner.partial
        if partial:
            size = get_app().output.get_size()
            rows = wrapped(partial, size.columns, max(1, size.rows - 4))
            partial = "".join(f"{row}\n" for row in rows)
        return [("class:partial", partial), ("", self._owner.prompt)]

    def _toolbar(self) -> StyleAndTextTuples:
        columns = get_app().output.get_size().columns
        hint = ["Press Ctrl-C again to quit."] if self._warned else self._owner.status
        return [("class:status", fitting(hint, columns))]

    def _keys(self) -> KeyBindings:
        keys = KeyBindings()

        def on(*names: str, **options: object) -> Callable[..., Callable[[KeyPressEvent], None]]:
            return keys.add(*names, **options)  # type: ignore[arg-type]

        @on("escape", eager=False)
        def _(event: KeyPressEvent) -> None:
            if event.current_buffer.complete_state:
                event.current_buffer.cancel_completion()
            else:
                self._owner.interrupt()

        @on("c-c")
        def _(event: KeyPressEvent) -> None:
            if self._owner.interrupt():
                return
            if event.current_buffer.text:
                event.current_buffer.reset()
            elif self._warned:
                event.app.exit(exception=EOFError)
            else:
                self._warned = True

        @on("c-j")
        @on("escape", "enter")
        def _(event: KeyPressEvent) -> None:
            event.current_buffer.insert_text("\n")

        @on("c-g")
        def _(event: KeyPressEvent) -> None:
            lent = ExitStack()
            lent.enter_context(self._keyboard.lent())
            event.current_buffer.open_in_editor().add_done_callback(lambda _: lent.close())

        @on("s-tab", filter=~has_completions)
        def _(event: KeyPressEvent) -> None:
            self._owner.cycle_mode()

        return keys


def wrapped(text: str, columns: int, rows: int) -> list[str]:
    """The last rows of the text, broken between words."""
    end = "\n".join(text.splitlines()[-rows:])
    lines = Text(end).wrap(Console(width=columns), max(10, columns - 1))
    return [line.plain for line in lines][-rows:]


def fitting(parts: Sequence[str], columns: int) -> str:
    """The parts on one line, without those that have no room."""
    line = ""
    for part in parts:
        longer = f"{line} · {part}" if line else part
        line = longer if len(longer) <= columns else line
    return line


def _history(path: Path) -> FileHistory:
    """Private: questions may hold anything."""
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    path.touch(mode=0o600)
    return FileHistory(str(path))
