"""The looks that every figure shares: one colour a depth, one marker a shortcut."""

import math
import textwrap
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import matplotlib as mpl
import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.colors import to_hex
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FuncFormatter, MaxNLocator
from matplotlib.typing import LineStyleType

# The report swaps these four for the reader's theme, so no figure uses another grey.
INK, MUTED, GRID, PAPER = "#1c1c1e", "#6e6e73", "#d9d9de", "#ffffff"

# Okabe and Ito's colours, told apart by colour-blind readers too; cool is shallow, warm is deep.
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
# Where depth is an axis, marker and line tell the shortcuts apart.
MARKERS = {"none": "o", "A": "s", "B": "^", "C": "D", "3x3": "P"}
NAMES = {
    "none": "plain",
    "A": "residual, option A",
    "B": "residual, option B",
    "C": "residual, option C",
    "3x3": "residual, 3x3 projections",
}
SHORTCUT_GREYS = {"none": INK, "A": MUTED, "B": "#98989d", "C": "#98989d", "3x3": "#98989d"}

# Inches around a panel, at the sizes of type below: tick labels and the axis' name to the left,
# the title above, tick labels and the axis' name below; to the right half a label of four digits.
LEFT, RIGHT, TITLE, FOOT = 0.76, 0.24, 0.32, 0.56
LEGEND_ENTRY, LEGEND_LINE = 1.45, 0.22  # width of a usual entry, height of a line
LEGEND_LOOK = 0.58  # width of what is beside an entry's label
LETTER, NOTE_LINE = 0.075, 0.165  # the same of the notes below
HEADING_LINE = 0.22

PAPER_TOP = 20.0  # per cent: the upper end of the axes of the paper's figure 6


def depth_colour(depth: int) -> str:
    """The colour of a depth where it is alone; one not in the list takes its nearest's."""
    nearest = min(DEPTH_COLOURS, key=lambda known: abs(math.log(known / depth)))
    return DEPTH_COLOURS[nearest]


def depth_colours(depths: Collection[int]) -> dict[int, str]:
    """A colour for each depth of one figure, no two the same, in the order of `depths`.

    Its `depth_colour`, unless another depth has that: those in the list come first, then the
    shallower; the others get the next free one. More depths than colours get shades.
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
    """So many colours in an order that is seen, on white and on dark pages."""
    colours = mpl.colormaps["plasma"](np.linspace(0.85, 0.25, count))
    return [to_hex(colour) for colour in colours]


@contextmanager
def theme() -> Iterator[None]:
    """Draw inside this: seaborn's white grid with the shared inks, and nothing left behind."""
    looks: dict[str, Any] = {
        "text.color": INK,
        "axes.labelcolor": INK,
        "axes.titlecolor": INK,
        "axes.edgecolor": MUTED,
        "xtick.color": INK,
        "ytick.color": INK,
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
    with mpl.rc_context(), sns.axes_style("whitegrid", looks):
        mpl.rcParams.update(looks)  # type: ignore[arg-type]
        yield


def panels(
    count: int, columns: int | None, width: float, height: float
) -> tuple[Figure, list[Axes]]:
    """`count` panels of width x height inches each, in `columns` (one row of them if None).

    The figure is to be closed with `frame_panels`, which makes room around them.
    """
    columns = min(columns or count, count)
    rows = math.ceil(count / columns)
    figure = Figure(figsize=(width * columns, height * rows))
    grid = figure.subplots(rows, columns, squeeze=False)
    axes = list(grid.flat)
    for spare in axes[count:]:
        spare.remove()
    return figure, axes[:count]


def percent_axis(panels: list[Axes], top: float | None = None) -> None:
    """The same error axis from 0 for all panels; `top` in per cent, by the data if None."""
    highest = max(1.0, *(axes.get_ylim()[1] for axes in panels))
    for axes in panels:
        if top is not None:
            axes.set_ylim(0, top)
        else:  # a little below 0, so that a dot at 0 is whole
            axes.set_ylim(-0.02 * highest, min(highest, 102))
        axes.yaxis.set_major_locator(MaxNLocator(5, steps=[1, 2, 2.5, 5, 10]))
        axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}%"))


def draw_band(
    axes: Axes, band: pd.DataFrame, colour: str, look: LineStyleType = "-", width: float = 1.5
) -> None:
    """A line at the median of each row of `band` (median, min, max), a band around it."""
    axes.plot(band.index, band["median"], color=colour, linestyle=look, linewidth=width)
    axes.fill_between(band.index, band["min"], band["max"], color=colour, alpha=0.18, lw=0)


def iteration_unit(iterations: int) -> tuple[int, str]:
    """(iterations a unit, axis label): thousands, as in the paper, unless there are too few."""
    return (1000, "iteration (thousands)") if iterations >= 10_000 else (1, "iteration")


def frame_panels(
    figure: Figure, handles: list[Line2D], sentences: list[str], heading: Sequence[str] = ()
) -> None:
    """A legend above the panels; below them what the figure leaves out, cuts or mixes.

    Above the legend the lines of `heading`, if any. The figure grows by as much as these take, so
    that panels are equally large in every figure. Places are set in inches: letting matplotlib
    find them takes as long as all the rest.
    """
    width, height = figure.get_size_inches()
    columns = min(len(handles), max(2, int(width / LEGEND_ENTRY)))
    while columns > 1 and _legend_width(handles, columns) > width:
        columns -= 1
    letters = int(width / LETTER)
    lines = [line for sentence in sentences for line in textwrap.wrap(sentence, letters)]
    head = HEADING_LINE * len(heading)
    above = head + LEGEND_LINE * math.ceil(len(handles) / columns) + 0.12
    below = NOTE_LINE * len(lines) + (0.08 if lines else 0)
    total = height + above + below
    figure.set_size_inches(width, total)
    _place_panels(figure, width, height, above, below)
    figure.legend(
        handles=handles, loc="upper center", bbox_to_anchor=(0.5, 1 - (0.1 + head) / total),
        ncols=columns, columnspacing=1.4, handlelength=2.4, borderaxespad=0, borderpad=0,
    )  # fmt: skip
    for number, line in enumerate(heading):
        y = 1 - (0.08 + HEADING_LINE * number) / total
        size, colour = (10.5, INK) if number == 0 else (9, MUTED)
        figure.text(0.12 / width, y, line, va="top", fontsize=size, color=colour)
    if lines:
        y = (below - 0.02) / total
        look: dict[str, Any] = {"ha": "left", "va": "top", "fontsize": 8.5, "color": MUTED}
        figure.supxlabel("\n".join(lines), x=0.12 / width, y=y, linespacing=1.25, **look)


def _legend_width(handles: list[Line2D], columns: int) -> float:
    """Inches that a legend in so many columns takes, each as wide as its longest label."""
    rows, longer = divmod(len(handles), columns)  # matplotlib's first columns have one more
    letters, start = 0, 0
    for column in range(columns):
        end = start + rows + (column < longer)
        letters += max(len(str(handle.get_label())) for handle in handles[start:end])
        start = end
    return LEGEND_LOOK * columns + LETTER * letters


def _place_panels(figure: Figure, width: float, height: float, above: float, below: float) -> None:
    """Panels `height` inches high in all, with room for titles, ticks and labels around each."""
    grid = figure.axes[0].get_gridspec()
    assert grid is not None  # `panels` made them in one
    rows, columns = grid.nrows, grid.ncols
    panel_width = (width - LEFT - RIGHT) / columns - (LEFT * (columns - 1)) / columns
    panel_height = height / rows - TITLE - FOOT
    total = height + above + below
    figure.subplots_adjust(
        left=LEFT / width,
        right=1 - RIGHT / width,
        bottom=(below + FOOT) / total,
        top=1 - (above + TITLE) / total,
        wspace=LEFT / panel_width,
        hspace=(TITLE + FOOT) / panel_height,
    )


def difference_axis(axes: Axes) -> None:
    """An axis of differences in percentage points, below and above 0."""
    axes.yaxis.set_major_locator(MaxNLocator(5, steps=[1, 2, 5, 10]))
    axes.yaxis.set_major_formatter(signed)


@FuncFormatter
def signed(value: float, _: int) -> str:
    """A difference on an axis: +0.2, 0, -0.2."""
    return f"{value:+g}" if abs(value) > 1e-9 else "0"
