"""The looks that every figure shares: one colour a depth, one marker a shortcut."""

import math
import textwrap
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import matplotlib as mpl
import pandas as pd
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FuncFormatter, MaxNLocator

mpl.use("Agg")  # drawn to files: no window, no display needed

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
MARKERS = {"none": "o", "A": "s", "B": "^", "C": "D"}
NAMES = {
    "none": "plain",
    "A": "residual, option A",
    "B": "residual, option B",
    "C": "residual, option C",
}
SHORTCUT_GREYS = {"none": INK, "A": MUTED, "B": "#98989d", "C": "#98989d"}

PAPER_TOP = 20.0  # per cent: the upper end of the axes of the paper's figure 6


def depth_colour(depth: int) -> str:
    """The colour of a depth, in every figure; one not in the list takes its nearest neighbour's."""
    nearest = min(DEPTH_COLOURS, key=lambda known: abs(math.log(known / depth)))
    return DEPTH_COLOURS[nearest]


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
    """`count` panels of width x height inches each, in `columns` (one row of them if None)."""
    columns = min(columns or count, count)
    rows = math.ceil(count / columns)
    figure = Figure(figsize=(width * columns, height * rows), layout="constrained")
    grid = figure.subplots(rows, columns, squeeze=False)
    axes = list(grid.flat)
    for spare in axes[count:]:
        spare.remove()
    return figure, axes[:count]


def percent(values: pd.Series) -> pd.Series:
    """Fractions in data are per cent on axes."""
    return 100 * values


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


def iteration_unit(iterations: int) -> tuple[int, str]:
    """(iterations a unit, axis label): thousands, as in the paper, unless there are too few."""
    return (1000, "iteration (thousands)") if iterations >= 10_000 else (1, "iteration")


def note(figure: Figure, sentences: list[str]) -> None:
    """What the figure leaves out, cuts or mixes, written under it."""
    if sentences:
        letters = int(15 * figure.get_figwidth())  # a line, at this size of type
        lines = [line for sentence in sentences for line in textwrap.wrap(sentence, letters)]
        figure.supxlabel("\n".join(lines), x=0.01, ha="left", fontsize=8.5, color=MUTED)


def legend(figure: Figure, handles: list[Line2D]) -> None:
    """One legend for all panels, above them, in as many columns as the width holds."""
    columns = min(len(handles), max(2, int(figure.get_figwidth() / 1.4)))
    figure.legend(
        handles=handles,
        loc="outside upper center",
        ncols=columns,
        columnspacing=1.4,
        handlelength=2.4,
    )


@FuncFormatter
def signed(value: float, _: int) -> str:
    """A difference on an axis: +0.2, 0, -0.2."""
    return f"{value:+g}" if abs(value) > 1e-9 else "0"
