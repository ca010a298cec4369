"""The style of all figures: in curves a colour is a depth, where families are compared a family."""

import io
import math
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from typing import Any

import matplotlib as mpl
import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.colors import to_hex
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, FuncFormatter, MaxNLocator, NullLocator
from matplotlib.typing import LineStyleType

INK, MUTED, GRID, PAPER = "#1c1c1e", "#6e6e73", "#d9d9de", "#ffffff"

# Okabe and Ito's colours, which colour-blind readers can distinguish; cool: shallow, warm: deep.
DEPTH_COLOURS = {
    8: "#56b4e9",
    14: "#b8860b",
    18: "#56b4e9",
    20: "#0072b2",
    32: "#009e73",
    34: "#009e73",
    44: "#e69f00",
    50: "#e69f00",
    56: "#d55e00",
    110: "#cc79a7",
    1202: "#7a7ad6",
}
# Where depth is an axis, or families are compared, a shortcut has a marker and a colour.
MARKERS = {"none": "o", "A": "s", "B": "^", "C": "D", "3x3": "P"}
NAMES = {
    "none": "plain",
    "A": "residual, option A",
    "B": "residual, option B",
    "C": "residual, option C",
    "3x3": "residual, 3x3 projections",
}
SHORTCUT_COLOURS = {
    "none": "#d55e00",
    "A": "#0072b2",
    "B": "#009e73",
    "C": "#cc79a7",
    "3x3": "#e69f00",
}

FLATTENED = 1 / 8  # of a panel's height: errors below it are too close together to read
LINEAR_BELOW = 1.0  # per cent: below it a log axis is linear, so that it contains 0
LOG_TICKS = (0, 0.5, 1, 2, 5, 10, 20, 50, 100)
PAPER_TOP = 20.0  # per cent: the upper end of the axes of the paper's figure 6
PERCENT = FuncFormatter(lambda value, _: f"{value:g}%")


def depth_colour(depth: int) -> str:
    """The colour of a depth on its own: that of the nearest one in `DEPTH_COLOURS`."""
    nearest = min(DEPTH_COLOURS, key=lambda known: abs(math.log(known / depth)))
    return DEPTH_COLOURS[nearest]


def depth_colours(depths: Collection[int]) -> dict[int, str]:
    """A different colour for each depth of one figure, in the order of `depths`.

    Its `depth_colour`; if two depths share that, one in `DEPTH_COLOURS` has precedence, then the
    shallower one, and the other gets the next free colour. More depths than colours get `shades`.
    """
    palette = list(dict.fromkeys(DEPTH_COLOURS.values()))
    if len(depths) > len(palette):
        return dict(zip(depths, shades(len(depths)), strict=True))
    owners: dict[str, int] = {}
    for depth in sorted(depths, key=lambda depth: (depth not in DEPTH_COLOURS, depth)):
        owners.setdefault(depth_colour(depth), depth)
    free = (colour for colour in palette if colour not in owners)
    own = {depth: colour for colour, depth in owners.items()}
    return {depth: own.get(depth) or next(free) for depth in depths}


def shades(count: int) -> list[str]:
    """`count` sequential colours, visible on white and on dark pages."""
    colours = mpl.colormaps["plasma"](np.linspace(0.85, 0.25, count))
    return [to_hex(colour) for colour in colours]


@contextmanager
def theme() -> Iterator[None]:
    """Within this context figures have seaborn's white grid and the shared colours."""
    in_ink = ("text.color", "axes.labelcolor", "axes.titlecolor", "xtick.color", "ytick.color")
    looks: dict[str, Any] = dict.fromkeys(in_ink, INK) | {
        "axes.edgecolor": MUTED,
        "grid.color": GRID,
        "grid.linewidth": 0.6,
        "axes.linewidth": 0.8,
        "axes.facecolor": PAPER,
        "figure.facecolor": PAPER,
        "font.family": ["DejaVu Sans"],
        "axes.titlesize": 10.5,
        "axes.labelsize": 9.5,
        "xtick.labelsize": 9,
        "ytick.labelsize": 9,
        "legend.fontsize": 9,
        "legend.frameon": False,
    }
    with _defaults(), sns.axes_style("whitegrid", looks):
        mpl.rcParams.update(looks)  # type: ignore[arg-type]
        yield


def as_png(figure: Figure, dpi: int) -> bytes:
    """The picture of a figure that was drawn within `theme`."""
    drawn = io.BytesIO()
    with _defaults():
        figure.savefig(drawn, format="png", dpi=dpi, backend="agg")
    return drawn.getvalue()


@contextmanager
def _defaults() -> Iterator[None]:
    """Within this context no matplotlibrc, and no style of a notebook's, changes a picture."""
    with mpl.rc_context():
        mpl.rcdefaults()
        yield


def percent_axis(panels: list[Axes], top: float | None = None, own: bool = False) -> None:
    """The same error axis from 0 for all panels; `top` in per cent, from the data if None.

    Without any data it ends at 100%. With `own`, panels that it would flatten share another one,
    and their label says so.
    """
    tops = {axes: _top(axes) for axes in panels if axes.has_data()}
    highest = max(1.0, *tops.values()) if tops else 100.0
    flat = [axes for axes, its in tops.items() if own and its < FLATTENED * highest]
    for axes in panels:
        if top is not None:
            axes.set_ylim(0, top)
        else:  # from below 0, so that a dot at 0 is not cut
            end = max(0.1, *(tops[one] for one in flat)) if axes in flat else highest
            axes.set_ylim(-0.02 * end, min(end, 102))
        if axes in flat:
            axes.set_ylabel(f"{axes.get_ylabel()} (own axis)")
        axes.yaxis.set_major_locator(MaxNLocator(5, steps=[1, 2, 2.5, 5, 10]))
        axes.yaxis.set_major_formatter(PERCENT)


def _top(axes: Axes) -> float:
    """The upper end for the data of a panel: matplotlib's margin may cut a marker there."""
    return max(axes.get_ylim()[1], 1.03 * axes.dataLim.y1)


def log_percent_axis(panels: list[Axes]) -> None:
    """The same axis for all panels, logarithmic above `LINEAR_BELOW`; its ends from the data.

    It reaches down to 0 where an error is below `LINEAR_BELOW`.
    """
    lowest = min(axes.dataLim.y0 for axes in panels)
    highest = max(axes.dataLim.y1 for axes in panels)
    for axes in panels:
        axes.set_yscale("symlog", linthresh=LINEAR_BELOW, linscale=0.5)
        axes.set_ylim(-0.03 if lowest < LINEAR_BELOW else lowest / 1.3, min(1.3 * highest, 110))
        axes.yaxis.set_major_locator(FixedLocator(LOG_TICKS))
        axes.yaxis.set_minor_locator(NullLocator())
        axes.yaxis.set_major_formatter(PERCENT)


def draw_band(axes: Axes, band: pd.DataFrame, colour: str, look: LineStyleType = "-") -> None:
    """A line at the first column of `band`, mean or median, and a band from its min to max."""
    axes.plot(band.index, band.iloc[:, 0], color=colour, linestyle=look, linewidth=1.5)
    axes.fill_between(band.index, band["min"], band["max"], color=colour, alpha=0.18, lw=0)


def iteration_unit(iterations: int) -> tuple[int, str]:
    """(iterations in a unit, axis label): thousands from 10,000 iterations on, else single ones."""
    return (1000, "iteration (thousands)") if iterations >= 10_000 else (1, "iteration")


def difference_axis(axes: Axes) -> None:
    """An axis of differences in percentage points: +0.2, 0, -0.2."""
    axes.yaxis.set_major_locator(MaxNLocator(5, steps=[1, 2, 5, 10]))
    signed = FuncFormatter(lambda value, _: f"{value:+g}" if abs(value) > 1e-9 else "0")
    axes.yaxis.set_major_formatter(signed)
