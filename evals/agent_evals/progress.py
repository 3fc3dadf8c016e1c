"""How far a run is, with a running score, on standard error."""

import sys
from collections import Counter
from types import TracebackType
from typing import TYPE_CHECKING, TextIO

from agent_evals.store import Row

if TYPE_CHECKING:
    from rich.progress import Progress as Bar
    from rich.progress import TaskID

_EVERY = 50


class Progress:
    """A bar on a terminal, else a line every 50 cases; a context manager."""

    def __init__(self, total: int, there: int = 0, out: TextIO | None = None) -> None:
        """`there`: how many results are there already; `out`: standard error by default."""
        self._total, self._done, self._out = total, there, out or sys.stderr
        self._hits: Counter[str] = Counter()
        self._asked: Counter[str] = Counter()
        self._bar: Bar | None = None
        self._task: TaskID | None = None

    def __enter__(self) -> "Progress":
        if self._out.isatty():
            self._bar = _bar(self._out)
            self._task = self._bar.add_task("", total=self._total, completed=self._done, score="")
            self._bar.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._bar is not None:
            self._bar.stop()

    def show(self, result: Row) -> None:
        """Count a result and tell how far the run is."""
        self._done += 1
        self._asked[result.label] += 1
        self._hits[result.label] += result.verdict.decided
        if self._bar is not None and self._task is not None:
            self._bar.update(self._task, completed=self._done, score=self._score())
        elif self._done % _EVERY == 0 or self._done == self._total:
            parts = (f"{self._done}/{self._total} cases", self._score())
            print(", ".join(filter(None, parts)), file=self._out, flush=True)

    def _score(self) -> str:
        """The balanced accuracy of what was counted so far, of all configurations together."""
        if not (self._asked["tool"] and self._asked["direct"]):
            return ""
        shares = [self._hits[label] / self._asked[label] for label in ("tool", "direct")]
        return f"balanced accuracy {sum(shares) / 2:.1%}"


def _bar(out: TextIO) -> "Bar":
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
    from rich.progress import Progress as Bar

    return Bar(
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
        TextColumn("{task.fields[score]}"),
        console=Console(file=out),
        transient=True,
    )
