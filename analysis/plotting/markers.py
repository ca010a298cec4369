"""Crosses of diverged runs, and the legend entries that several figures share."""

from collections.abc import Mapping
from typing import Any

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.lines import Line2D

from analysis.plotting import style


def diverged_cross(axes: Axes, x: float, y: float, colour: str) -> None:
    """A cross where a run diverged, in data coordinates."""
    axes.plot(
        x, y, "X", color=colour, markersize=9,
        markeredgecolor=style.PAPER, clip_on=False, zorder=6,
    )  # fmt: skip


def crosses_on_edge(
    axes: Axes, diverged: pd.DataFrame, x: str, colours: Mapping[Any, str], by: str = "depth"
) -> None:
    """A cross on the upper edge, at the column `x`, for each row, in the colour of its `by`.

    For axes without iterations: a diverged run has no final error. Call it when the limits are set.
    """
    for row in diverged.to_dict("records"):
        diverged_cross(axes, row[x], axes.get_ylim()[1], colours[row[by]])


def entry(label: str, colour: str = style.INK, **look: Any) -> Line2D:
    """A legend entry; `look` as of a line, or of markers with linestyle="none"."""
    return Line2D([], [], color=colour, label=label, **look)


def diverged_entries(runs: pd.DataFrame, colour: str = style.INK) -> list[Line2D]:
    """The legend entry of `diverged_cross`, if any of the runs diverged."""
    diverged = (runs["status"] == "diverged").any()
    return [entry("diverged", colour, marker="X", linestyle="none")] if diverged else []


def line_legend(
    colours: Mapping[str, str], linewidth: float = 2.2, marker: str = ""
) -> list[Line2D]:
    """A legend entry for each label of `colours`, in its colour."""
    return [
        entry(label, colour, linewidth=linewidth, marker=marker)
        for label, colour in colours.items()
    ]


def depth_legend(
    colours: Mapping[int, str], linewidth: float = 2.2, marker: str = ""
) -> list[Line2D]:
    """A legend entry for each depth of `colours`: "56 layers"."""
    labels = {f"{depth} layers": colour for depth, colour in colours.items()}
    return line_legend(labels, linewidth, marker)
