"""The conversation: prompt on screen, keystroke to echo, memory of many turns."""

import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from statistics import median

from agent_evals.speed.measure import Line, Options, interleaved, output, python, seconds
from agent_evals.speed.start import Recorder, recording
from agent_evals.speed.terminal import Terminal

TURNS = 500
_WARM = 100  # turns after which everything is imported and every cache is filled
_BARE = "import prompt_toolkit.shortcuts"
_AIM = 0.4
_GROWTH = 10.0  # KiB a turn; its own text is about one
_PACE = 0.005  # seconds between two pieces: 200 tokens a second
_BETWEEN = 0.05  # seconds between two keys
# Neither in what the terminal shows by itself nor in what is streamed.
_LETTERS = "FGHJKLMNOPQRTUVWXYZ"
_ANSWER = (
    "the basket is made where the order begins and is emptied when it is paid. its total is a sum "
    "over its lines, each of which knows a product, how many of it there are and what one costs. "
    "a line without a product is left out, and the tax is added once at the end of it all."
)


def lines(options: Options) -> list[Line]:
    """Against importing prompt-toolkit, an idle model, and what we aim at."""
    with tempfile.TemporaryDirectory() as scratch:
        home = Path(scratch)
        shown, bare = interleaved(
            options.repeats,
            lambda: until_prompt(home),
            lambda: seconds(lambda: output(python("-c", _BARE))),
        )
        streaming, idle = echoes(home, options.repeats)
        growth = growth_per_turn(home)
    return [
        Line("prompt on screen", shown, _AIM, "s", "our aim", "<=", 1),
        Line("prompt on screen", shown, bare, "s", "importing prompt-toolkit", "<=", 1.5),
        Line("key to echo, streaming", streaming * 1000, idle * 1000, "ms", "idle", "<=", 2),
        Line(f"memory a turn, {TURNS} turns", growth, _GROWTH, "KiB", "our aim", "<=", 1),
    ]


def until_prompt(home: Path) -> float:
    """Seconds from the start of the process to the prompt; the model is not waited for."""
    with recording() as server, Terminal(server.url, home) as terminal:
        terminal.until(terminal.shows(">"))
        return time.perf_counter() - terminal.started


def echoes(home: Path, repeats: int) -> tuple[float, float]:
    """Median seconds from a key to its echo: while an answer is streamed, and while none is."""
    enough = threading.Event()

    def endless() -> Iterator[str]:
        while not enough.wait(_PACE):
            for word in _ANSWER.split():
                yield f"{word} "
                if enough.wait(_PACE):
                    return
            yield "\n\n"

    with recording(endless) as server:
        try:
            pairs = [_echo(server, home) for _ in range(max(1, repeats // 2))]
        finally:
            enough.set()
    return median(a for pair in pairs for a in pair[0]), median(
        b for pair in pairs for b in pair[1]
    )


def _echo(server: Recorder, home: Path) -> tuple[list[float], list[float]]:
    with Terminal(server.url, home) as terminal:
        terminal.until(terminal.shows("tokens"))
        terminal.rest(1.0)  # whatever is done once after the start
        idle = [_key(terminal, letter) for letter in _LETTERS]
        terminal.type("\x15go\r")
        terminal.until(terminal.shows("basket"))
        streaming = [_key(terminal, letter) for letter in _LETTERS]
    return streaming, idle


def _key(terminal: Terminal, letter: str) -> float:
    terminal.rest(_BETWEEN)
    return seconds(lambda: _typed(terminal, letter))


def _typed(terminal: Terminal, letter: str) -> None:
    terminal.type(letter)
    terminal.until(terminal.shows(letter))


def growth_per_turn(home: Path, turns: int = TURNS, warm: int = _WARM) -> float:
    """Kibibytes by which the process grows with each turn after the first `warm`."""
    with recording(lambda: (_ANSWER,)) as server, Terminal(server.url, home) as terminal:
        terminal.until(terminal.shows("tokens"))

        def arrived(count: int) -> Callable[[], bool]:
            return lambda: len(server.arrived) >= count

        before = 0
        for turn in range(1, turns + 1):
            terminal.type(f"Is basket number {turn} empty?\r")
            terminal.until(arrived(turn))
            if turn == warm:
                before = terminal.kibibytes()
        return (terminal.kibibytes() - before) / (turns - warm)
