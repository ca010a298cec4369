"""An axis of a setting (learning rate, iterations) with an error at each value."""

from collections.abc import Mapping

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from matplotlib.ticker import FixedLocator, FuncFormatter, NullLocator

from analysis.frames import select
from analysis.plotting import style


def draw_panel(
    axes: Axes,
    ended: pd.DataFrame,
    setting: str,
    error: str,
    colours: Mapping[int, str],
) -> None:
    """Per cent of `error` against `setting`: a dot a run of `ended`, a line through the means."""
    for depth in select.depths(ended):
        runs = ended[ended["depth"] == depth]
        means = 100 * runs.groupby(setting)[error].mean()
        colour = colours[depth]
        axes.plot(runs[setting], 100 * runs[error], "o", color=colour, ms=4, alpha=0.8, mew=0)
        axes.plot(means.index, means, color=colour, linewidth=1.3)


def mark_values(axes: Axes, values: list[float]) -> None:
    """A logarithmic axis with a tick at each value that was run."""
    axes.set_xscale("log")
    axes.set_xlim(values[0] / 1.25, values[-1] * 1.25)
    axes.xaxis.set_major_locator(FixedLocator(values))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,g}"))


def depth_lines(runs: pd.DataFrame) -> list[Line2D]:
    """What the lines are, for a legend."""
    return [
        Line2D([], [], color=colour, marker="o", label=f"{depth} layers")
        for depth, colour in style.depth_colours(select.depths(runs)).items()
    ]
