"""The figures of a report, as matplotlib draws them; `agent_evals.plots` makes files of them."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from agent.answer import plain
from agent_evals import tables
from agent_evals.paired import needed
from agent_evals.report import short
from agent_evals.scores import Scores
from agent_evals.stats import Balanced, Share
from agent_evals.suite import LABELS
from agent_evals.survival import survival

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Named = Mapping[str, Scores]
INK, MUTED, GRID, PAPER = "#1b1f24", "#5b636d", "#d9dee4", "#fefefe"
# Okabe and Ito's colours, which the colour-blind can tell apart, dark enough for thin lines.
SERIES = ("#0063a6", "#c24a00", "#00805c", "#a3478a", "#8a6d00", "#2c87b8", "#5b4bb0")
_MARKERS = "osD^vPX"
STYLE = {
    "axes.axisbelow": True,
    "axes.edgecolor": GRID,
    "axes.facecolor": "none",
    "axes.grid": True,
    "axes.labelcolor": MUTED,
    "axes.spines.right": False,
    "axes.spines.top": False,
    "axes.titlesize": 9,
    "figure.constrained_layout.use": True,
    "figure.facecolor": "none",
    "font.family": "sans-serif",
    "font.sans-serif": ["DejaVu Sans"],
    "font.size": 9,
    "grid.color": GRID,
    "grid.linewidth": 0.6,
    "legend.frameon": False,
    "legend.labelcolor": INK,
    "svg.hashsalt": "agent",
    "text.color": INK,
    "text.parse_math": False,
    "xtick.color": GRID,
    "xtick.labelcolor": MUTED,
    "ytick.color": GRID,
    "ytick.labelcolor": MUTED,
}
_WIDTH = 4.5  # inches


def figures(manifest: Mapping[str, Any], scores: Named, controls: Named) -> dict[str, "Figure"]:
    """All of them, by name; to be drawn and saved in `STYLE`.

    Raises:
        AgentError: matplotlib or scipy is not installed.
    """
    return {
        "decisions": _decisions(scores, controls),
        "subtypes": _subtypes(scores),
        "costs": _costs(manifest, scores),
        "loops": _loops(scores),
    }


def _decisions(scores: Named, controls: Named) -> "Figure":
    """Recall over specificity; on a grey diagonal the balanced accuracy is the same."""
    figure, axes = _empty(4.0)
    for sum_ in (50, 60, 70, 80, 90):
        ends = [max(0, 2 * sum_ - 100), 100]
        style = {"color": GRID, "linewidth": 1.2} if sum_ == 50 else {"color": GRID, "ls": ":"}
        axes.plot(ends, ends[::-1], **style, zorder=1)
    axes.grid(False)
    for name, one in controls.items():
        x, y = 100 * one.balanced.specificity.value, 100 * one.balanced.recall.value
        axes.plot(x, y, "o", color=MUTED, mfc=PAPER, clip_on=False, zorder=3)
        side = 1 if x < 50 else -1
        axes.annotate(
            name,
            (x, y),
            (8 * side, -3 if y > 50 else 4),
            textcoords="offset points",
            ha="left" if side == 1 else "right",
            color=MUTED,
        )
    for number, one in enumerate(scores.values()):
        _point(axes, number, one.balanced.specificity, one.balanced.recall, _name(one))
    axes.set(xlim=(0, 100), ylim=(0, 100), xlabel="specificity, %", ylabel="recall, %")
    _legend(figure)
    return figure


def _subtypes(scores: Named) -> "Figure":
    """A forest: the share of each subtype with its interval, those of a label together."""
    kinds = {label: _names(scores, label) for label in LABELS}
    kinds = {label: names for label, names in kinds.items() if names}
    spread = max(1.0, 0.55 * len(scores))
    rows = sum(map(len, kinds.values()))
    figure, axes = _empty(0.9 + 0.2 * spread * rows + 0.25 * len(kinds))
    ticks: dict[float, str] = {}
    y = 0.0
    for label, names in kinds.items():
        axes.text(0, y, f"{label} cases", va="center", color=INK, weight="bold")
        for name in names:
            y += 1
            ticks[y] = plain(name)
            for number, one in enumerate(scores.values()):
                _interval(axes, y, number, len(scores), one, (label, name))
        y += 1.25
    axes.set(xlim=(0, 100), ylim=(max(1.0, y - 0.5), -0.6), xlabel="decided right, %")
    axes.set_yticks(list(ticks), list(ticks.values()))
    axes.tick_params(axis="y", length=0)
    axes.grid(False, axis="y")
    axes.spines["left"].set_visible(False)
    _legend(figure)
    return figure


def _names(scores: Named, label: str) -> list[str]:
    every = {s.name: None for one in scores.values() for s in one.subtypes if s.label == label}
    return list(every)


def _interval(
    axes: "Axes", y: float, number: int, of: int, one: Scores, kind: tuple[str, str]
) -> None:
    share = next((s.decided for s in one.subtypes if (s.label, s.name) == kind), None)
    if share is None or share.value != share.value:
        return
    place = y + (number - (of - 1) / 2) * 0.7 / of
    values, low, high = _percent(share)
    _bar(axes, number, values, place, xerr=([low], [high]), label=_name(one))
    if of == 1:
        text = f"{tables.percent(share)}  n = {share.n}"
        right = axes.get_yaxis_transform()
        axes.text(1.04, y, text, transform=right, va="center", color=MUTED, fontsize=8)


def _costs(manifest: Mapping[str, Any], scores: Named) -> "Figure":
    """Balanced accuracy over what a case takes, and over the place on disk."""
    figure = _figure(2.7)
    panels = figure.subplots(1, 3, sharey=True)
    for axes, label in zip(
        panels, ("seconds per case", "tokens per case", "MB on disk"), strict=True
    ):
        axes.set_xlabel(label)
    for number, one in enumerate(scores.values()):
        cost, disk = one.cost, tables.entry(manifest, one.configuration).get("disk_bytes")
        found = cost.seconds, cost.input_tokens + cost.output_tokens, disk and disk / 1e6
        for axes, value in zip(panels, found, strict=True):
            if value is not None and one.balanced.value == one.balanced.value:
                values, low, high = _percent(one.balanced)
                _bar(axes, number, value, values, yerr=([low], [high]), label=_name(one))
    for axes in panels:
        _from_zero(axes)
        axes.axhline(50, color=MUTED, linewidth=0.8, linestyle=":")
    panels[0].set(ylabel="balanced accuracy, %", ylim=(0, 100))
    _legend(figure)
    return figure


def _from_zero(axes: "Axes") -> None:
    """What costs nothing is at the left edge; a panel without a point says so."""
    if axes.has_data():
        axes.set_xlim(0, 1.25 * axes.dataLim.x1 or 1)
        axes.locator_params(axis="x", nbins=4)
    else:
        axes.set_xticks([])
        axes.text(0.5, 0.5, "not\nreported", transform=axes.transAxes, ha="center", color=MUTED)


def _loops(scores: Named) -> "Figure":
    """The survival curves, by Kaplan and Meier."""
    figure, axes = _empty(2.9)
    lowest = 100.0
    for number, one in enumerate(scores.values()):
        steps = survival(one.loops.lengths)
        calls = [step.calls for step in steps]
        colour = SERIES[number % len(SERIES)]
        shares = [100 * step.share for step in steps]
        axes.step(calls, shares, where="post", color=colour, label=_name(one))
        low, high = ([100 * s.interval[i] for s in steps] for i in (0, 1))
        axes.fill_between(calls, low, high, step="post", color=colour, alpha=0.15, linewidth=0)
        lowest = min([lowest, *low])
    axes.set(
        xlabel="calls made", ylabel="runs without a loop, %", ylim=(min(90, lowest - 2), 100.5)
    )
    axes.set_xlim(0, max(1, axes.dataLim.x1))
    axes.locator_params(axis="x", integer=True)
    _legend(figure)
    return figure


def _empty(height: float) -> tuple["Figure", "Axes"]:
    figure = _figure(height)
    return figure, figure.subplots()


def _figure(height: float) -> "Figure":
    made: Figure = needed("matplotlib.figure").Figure(figsize=(_WIDTH, height))
    return made


def _point(axes: "Axes", number: int, x: Share, y: Share, label: str) -> None:
    if x.value != x.value or y.value != y.value:
        return
    across, left, right = _percent(x)
    up, low, high = _percent(y)
    _bar(axes, number, across, up, xerr=([left], [right]), yerr=([low], [high]), label=label)


def _bar(axes: "Axes", number: int, x: float, y: float, **errors: Any) -> None:
    """A configuration's point with its intervals."""
    axes.errorbar(
        x,
        y,
        fmt=_MARKERS[number % len(_MARKERS)],
        color=SERIES[number % len(SERIES)],
        markersize=5,
        elinewidth=1.3,
        clip_on=False,
        zorder=4,
        **errors,
    )


def _percent(share: Share | Balanced) -> tuple[float, float, float]:
    """The value, and how far its interval reaches below and above it."""
    low, high = share.interval
    return 100 * share.value, 100 * (share.value - low), 100 * (high - share.value)


def _legend(figure: "Figure") -> None:
    """Each configuration once, below the axes; a single one needs no legend."""
    found = [axes.get_legend_handles_labels() for axes in figure.axes]
    named = {
        label: h for handles, labels in found for h, label in zip(handles, labels, strict=True)
    }
    if len(named) > 1:
        columns = min(3, len(named))
        figure.legend(named.values(), named, loc="outside lower center", ncols=columns)


def _name(one: Scores) -> str:
    return short(" ".join(plain(one.configuration).split())) or "run"
