"""The pictures of the documents, made from the real program at a terminal.

    uv run --group dev python -m docs.pictures [NAME …]

asks the embedded model about a copy of a fixture and draws the screens into docs/pictures/.
"""

import io
import re
import shutil
import sys
import tempfile
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from functools import partial
from itertools import groupby
from pathlib import Path

from pyte.screens import Char
from rich.console import CONSOLE_SVG_FORMAT, Console
from rich.style import Style
from rich.text import Text
from tests.agent.screen import Screen

HERE = Path(__file__).parent
FIXTURE = HERE.parent / "evals" / "fixtures" / "depot"
READY = r"embedded · ask · \d+/"
# No picture fetches a font from anywhere.
_FORMAT = re.sub(r"@font-face \{\{.*?\}\}\s*", "", CONSOLE_SVG_FORMAT, flags=re.DOTALL).replace(
    "font-family: Fira Code, monospace", "font-family: Menlo, DejaVu Sans Mono, monospace"
)
_COLOURS = {"brown": "yellow", "brightbrown": "bright_yellow"}  # pyte's name for it
_BLANK = Style(meta={"blank": True})

Open = Callable[..., AbstractContextManager[Screen]]


def question(opened: Open) -> Screen:
    """A question, the call, the answer."""
    with opened(rows=12) as screen:
        screen.wait_for(READY)
        screen.type("Where is the class StockLedger defined?", "enter")
        screen.wait_for("is defined in")
        screen.wait_for(r"tokens/s")
        screen.settle()
        screen.type("how many PHP files are there?", "enter")
        screen.wait_for(r"33 files\.")
        screen.wait_for("· Esc interrupts", absent=True)
        screen.settle()
        return screen


def edit(opened: Open) -> Screen:
    """An edit, shown as a diff and asked for."""
    with opened(rows=20) as screen:
        screen.wait_for(READY)
        screen.type("in app/Services/StockLedger.php replace ")
        screen.type("`CACHE_SECONDS = 300` with `CACHE_SECONDS = 600`", "enter")
        screen.wait_for(r"\[N\]o")
        screen.settle()
        return screen


def undo(opened: Open) -> Screen:
    """What was written is shown and taken back."""
    with opened(rows=20) as screen:
        screen.wait_for(READY)
        screen.type("create docs/todo.md with the text `write the docs`", "enter")
        screen.wait_for(r"\[N\]o")
        screen.type("y", "enter")
        screen.wait_for("tokens/s")
        screen.settle()
        screen.type("/undo", "enter")
        screen.wait_for(r"removed docs/todo\.md")
        screen.settle()
        return screen


def helped(opened: Open) -> Screen:
    """Commands and keys."""
    with opened(rows=28) as screen:
        screen.wait_for(READY)
        screen.type("/help", "enter")
        screen.wait_for(r"edit in \$EDITOR")
        screen.settle()
        return screen


def context(opened: Open) -> Screen:
    """What fills the context window."""
    with opened(rows=20) as screen:
        screen.wait_for(READY)
        screen.type("Where is the class StockLedger defined?", "enter")
        screen.wait_for(r"tokens/s")
        screen.settle()
        screen.type("/context", "enter")
        screen.wait_for("tokens used")
        screen.settle()
        return screen


def doctor(opened: Open) -> Screen:
    """Endpoint, model and machine, checked."""
    with opened("doctor", rows=48) as screen:
        screen.wait_for(r"\d+ ok, \d+ warning")
        screen.settle()
        return screen


PICTURES = {
    "question": question,
    "edit": edit,
    "undo": undo,
    "help": helped,
    "context": context,
    "doctor": doctor,
}


def main(names: Sequence[str]) -> None:
    """Make the pictures of these names, or all."""
    for name in names or PICTURES:
        with tempfile.TemporaryDirectory() as scratch:
            codebase = Path(scratch) / "depot"
            shutil.copytree(FIXTURE, codebase)
            home = {"HOME": scratch, "XDG_STATE_HOME": "", "XDG_CONFIG_HOME": "", "NO_COLOR": ""}
            screen = PICTURES[name](partial(_opened, codebase, home))
            title = "agent doctor" if name == "doctor" else "agent"
            path = HERE / "pictures" / f"{name}.svg"
            path.write_text(drawn(screen.cells, title), encoding="utf-8")
        print(path)


def _opened(codebase: Path, home: dict[str, str], *argv: str, rows: int) -> Screen:
    # No path of this machine stands in a picture.
    environment = Path(home["HOME"]) / ".venv"
    environment.symlink_to(sys.prefix)
    return Screen([f"{environment}/bin/python", "-m", "agent", *argv], codebase, home, rows=rows)


def drawn(cells: Sequence[Sequence[Char]], title: str) -> str:
    """The screen as SVG."""
    lines = [_line(row) for row in cells]
    while lines and not lines[-1].plain.strip():
        lines.pop()
    console = Console(record=True, width=len(cells[0]), file=io.StringIO(), force_terminal=True)
    for line in [*lines, Text()]:
        console.print(line, no_wrap=True)
    svg = console.export_svg(title=title, code_format=_FORMAT, unique_id="picture")
    return "\n".join(line.rstrip() for line in svg.splitlines()) + "\n"


def _line(row: Sequence[Char]) -> Text:
    """Words and blanks apart: not every reader of SVG keeps the blanks at a beginning."""
    line = Text()
    for (style, blank), run in groupby(row, lambda char: (_style(char), char.data == " ")):
        text = "".join(char.data for char in run)
        line.append(text, Style.parse(style) + (_BLANK if blank else Style.null()))
    line.rstrip()
    return line


def _style(char: Char) -> str:
    words = [name for name in ("bold", "italics", "underscore", "reverse") if getattr(char, name)]
    style = " ".join(words).replace("italics", "italic").replace("underscore", "underline")
    if char.fg != "default":
        style += " " + _colour(char.fg)
    if char.bg != "default":
        style += " on " + _colour(char.bg)
    return style.strip()


def _colour(name: str) -> str:
    if re.fullmatch(r"[0-9a-f]{6}", name):
        return f"#{name}"
    return _COLOURS.get(name, name.replace("bright", "bright_"))


if __name__ == "__main__":
    main(sys.argv[1:])
