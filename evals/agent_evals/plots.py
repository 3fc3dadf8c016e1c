"""The figures of a report: as SVG in the colours of a page, and as files for papers.

matplotlib, of the extra `bench`, is imported when something is drawn.
"""

import io
import re
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from agent.exits import UsageError
from agent_evals.figures import GRID, INK, MUTED, PAPER, SERIES, STYLE, Named, figures
from agent_evals.paired import needed

if TYPE_CHECKING:
    from matplotlib.figure import Figure

# What a colour is called in the page's style sheet.
_VARIABLES = {
    **{INK: "ink", MUTED: "muted", GRID: "grid", PAPER: "paper"},
    **{colour: f"series-{n}" for n, colour in enumerate(SERIES, 1)},
}
_TITLES = {
    "decisions": "Recall and specificity",
    "subtypes": "Decided right, by kind of question",
    "costs": "Accuracy against cost",
    "loops": "Runs that have not looped",
}


def inline(manifest: Mapping[str, Any], scores: Named, controls: Named) -> dict[str, str]:
    """Each figure as an SVG element for a page that defines the colours as CSS variables.

    Raises:
        AgentError: matplotlib or scipy is not installed.
    """
    with _drawing():
        drawn = figures(manifest, scores, controls)
        return {name: _element(name, _svg(figure, "none")) for name, figure in drawn.items()}


def save(manifest: Mapping[str, Any], scores: Named, controls: Named, folder: Path) -> list[Path]:
    """Each figure as NAME.svg and NAME.png (300 dpi) in a folder, made if need be.

    Raises:
        AgentError: matplotlib or scipy is not installed.
        UsageError: the folder cannot be written.
    """
    written = []
    with _drawing():
        try:
            folder.mkdir(parents=True, exist_ok=True)
            for name, figure in figures(manifest, scores, controls).items():
                svg, png = folder / f"{name}.svg", folder / f"{name}.png"
                svg.write_text(_svg(figure, "path"), encoding="utf-8")
                figure.savefig(png, dpi=300, facecolor="white")
                written += [svg, png]
        except OSError as error:
            raise UsageError(f"--plots {folder}: cannot be written: {error.strerror}.") from None
    return written


@contextmanager
def _drawing() -> Iterator[None]:
    """In our style, whatever the user's own is."""
    with needed("matplotlib.style").context(["default", STYLE]), warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # a name with letters the font lacks
        yield


def _svg(figure: "Figure", fonttype: str) -> str:
    text = io.StringIO()
    with needed("matplotlib").rc_context({"svg.fonttype": fonttype}):
        figure.savefig(text, format="svg", metadata={"Date": None, "Creator": None})
    return text.getvalue()


def _element(name: str, svg: str) -> str:
    """The bare element: ids that are its own, the page's font, and variables for colours."""
    svg = svg[svg.index("<svg") :]
    svg = re.sub(r"<metadata>.*?</metadata>|<style.*?</style>", "", svg, flags=re.DOTALL)
    svg = re.sub(r'(\bid="|xlink:href="#|url\(#)', rf"\1{name}-", svg)
    svg = re.sub(r"font: (?:(\w+) )?([\d.]+)px [^;\"]+", _font, svg)
    svg = re.sub("|".join(_VARIABLES), lambda found: f"var(--{_VARIABLES[found[0]]})", svg)
    size = r'<svg [^>]*?(viewBox="[^"]+")[^>]*>'
    return re.sub(size, rf'<svg \1 role="img" aria-label="{_TITLES[name]}">', svg, count=1)


def _font(found: re.Match[str]) -> str:
    weight, size = found.groups()
    return f"font-size: {size}px" + (f"; font-weight: {weight}" if weight else "")
