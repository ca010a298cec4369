"""Panels of an error against a setting (learning rate, number of iterations)."""

from collections.abc import Mapping

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.ticker import FixedLocator, FuncFormatter, NullLocator

from analysis.frames import select


def draw_panel(
    axes: Axes,
    finals: pd.DataFrame,
    setting: str,
    error: str,
    colours: Mapping[int, str],
) -> None:
    """`error` in per cent against `setting`: a dot a finished run, a line through the means.

    `finals`: one row a finished run; `colours`: by depth.
    """
    for depth in select.depths(finals):
        runs = finals[finals["depth"] == depth]
        means = 100 * runs.groupby(setting)[error].mean()
        colour = colours[depth]
        axes.plot(runs[setting], 100 * runs[error], "o", color=colour, ms=4, alpha=0.8, mew=0)
        axes.plot(means.index, means, color=colour, linewidth=1.3)


def mark_values(axes: Axes, values: list[float]) -> None:
    """A logarithmic axis with a tick at each of `values`, which are sorted."""
    axes.set_xscale("log")
    axes.set_xlim(values[0] / 1.25, values[-1] * 1.25)
    axes.xaxis.set_major_locator(FixedLocator(values))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,g}"))
