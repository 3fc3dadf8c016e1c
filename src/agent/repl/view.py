"""What the conversation looks like: Markdown as it streams, one line for each call, diffs."""

import json
import os
import sys
from collections.abc import Mapping

from rich.console import Console
from rich.text import Text
from rich.theme import Theme

from agent.answer import plain
from agent.events import Delta, Event, Message, Notice, Problem, Result, ToolResult, ToolUse
from agent.render import headline

_FENCES = ("```", "~~~")
# No boxes in a colour that the terminal's own background may not have.
_STYLES = {"markdown.code": "cyan", "markdown.code_block": "cyan"}
_OUTCOMES = {"ok": "green", "failed": "red", "denied": "yellow", "skipped": "yellow"}


class View:
    """A subscriber to a run's events that prints to `console`.

    `partial` is the text that is still being written: whoever shows the prompt shows it too.
    """

    def __init__(self, console: Console) -> None:
        self.console = console
        self.partial = ""
        self._shown = 0
        self._use: ToolUse | None = None

    def __call__(self, event: Event) -> None:
        if isinstance(event, Delta):
            self._write(event.text)
        elif isinstance(event, Message):
            self._flush()
        elif isinstance(event, ToolUse):
            self._flush()
            self._use = event
            call = f"{event.name} {brief(event.arguments)} …"
            self.partial = clip(call, self.console.width - 1)
        elif isinstance(event, ToolResult):
            self.partial = ""
            self._call(event)
        elif isinstance(event, Problem):
            self._flush()
            self.note(event.message, "yellow")
        elif isinstance(event, Notice):
            self.note(event.message)
        elif isinstance(event, Result):
            self._end(event)

    def note(self, text: str, style: str = "dim") -> None:
        """A line of ours, not of the model's."""
        self.console.print(Text(plain(text), style))

    def markdown(self, text: str) -> None:
        """Text of the model, rendered."""
        from rich.markdown import Markdown

        self.console.print(Markdown(plain(text), code_theme="ansi_dark"))
        self._shown += 1

    def diff(self, diff: str) -> None:
        """A unified diff, coloured where there are colours."""
        for line in plain(diff).splitlines():
            self.console.print(Text(line, _diff_style(line)), soft_wrap=True)

    def _write(self, text: str) -> None:
        """Blocks that are whole are printed; the last one may still grow."""
        whole, self.partial = split_blocks(self.partial + plain(text))
        if whole.strip():
            self.markdown(whole)

    def _flush(self) -> None:
        text, self.partial = self.partial, ""
        if text.strip():
            self.markdown(text)

    def _call(self, event: ToolResult) -> None:
        """One line: what gives way to a narrow terminal are the arguments, then the result."""
        arguments = brief(self._use.arguments) if self._use and self._use.id == event.id else ""
        first = headline(event.result)
        cost = f"{size(event.result)} · {event.duration_ms / 1000:.2f} s"
        room = self.console.width - len(f"●  {event.name}  →   · {cost}") - 1
        first = clip(first, max(room // 2, room - len(arguments)))
        line = Text.assemble(
            ("● ", _OUTCOMES[event.outcome]),
            (event.name, "bold"),
            f" {clip(arguments, room - len(first))} ",
            (f"→ {first} · {cost}", "dim"),
        )
        self.console.print(line, soft_wrap=True)

    def _end(self, result: Result) -> None:
        """The answer where nothing of it was streamed; what came last is not shown twice."""
        self._flush()
        if result.result and not self._shown:
            self.markdown(result.result)
        self._shown = 0
        self.console.print()


def split_blocks(text: str) -> tuple[str, str]:
    """The blocks of Markdown that are whole, and the rest that may still grow."""
    end, fence = 0, ""
    at = 0
    for line in text.splitlines(keepends=True):
        at += len(line)
        mark = line.lstrip()[:3]
        if fence:
            if mark == fence:
                fence = ""
                end = at if line.endswith("\n") else end
        elif mark in _FENCES:
            fence = mark
        elif not line.strip() and line.endswith("\n"):
            end = at
    return text[:end], text[end:]


def brief(arguments: Mapping[str, object]) -> str:
    """The arguments of a call on one line."""
    return " ".join(plain(json.dumps(value, ensure_ascii=False)) for value in arguments.values())


def clip(text: str, width: int) -> str:
    """The text, cut to `width` characters."""
    return text if len(text) <= width else text[: max(0, width - 1)] + "…"


def size(text: str) -> str:
    """The size of a result as people say it."""
    count = len(text.encode("utf-8", "replace"))
    return f"{count} B" if count < 1000 else f"{count / 1000:.1f} kB"


def _diff_style(line: str) -> str:
    if line.startswith(("+++", "---")):
        return "bold"
    if line.startswith("@@"):
        return "cyan"
    return {"+": "green", "-": "red"}.get(line[:1], "")


def console() -> Console:
    """Colours where the terminal has them and nobody said NO_COLOR."""
    dumb = os.environ.get("TERM", "") in ("dumb", "unknown", "")
    terminal = sys.stdout.isatty() and not dumb
    return Console(
        force_terminal=terminal, highlight=False, emoji=False, markup=False, theme=Theme(_STYLES)
    )
