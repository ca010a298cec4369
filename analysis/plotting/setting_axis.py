"""Figures of final errors against a setting (learning rate, number of iterations)."""

from collections.abc import Mapping

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, FuncFormatter, NullLocator

from analysis.frames import select
from analysis.plotting import layout, style


def draw(
    runs: pd.DataFrame,
    setting: str,
    label: str,
    errors: Mapping[str, str],
    colours: Mapping[int, str],
    size: tuple[float, float],
) -> tuple[Figure, dict[tuple[str, str], Axes]]:
    """A row of panels for each of `errors` (columns and names), a panel for each shortcut.

    A dot is a finished run of `runs`, a line goes through the means; `colours`: by depth; `size`:
    of a panel, inches. Returns the panels by (error, shortcut); the error axis is left to set.
    """
    kinds = select.shortcuts(runs)
    places = [(error, shortcut) for error in errors for shortcut in kinds]
    figure, panels = layout.panels(len(places), *size, len(kinds))
    for axes, (error, shortcut) in zip(panels, places, strict=True):
        of_kind = select.finished(runs[runs["shortcut"] == shortcut])
        for depth in select.depths(of_kind):
            of_depth = of_kind[of_kind["depth"] == depth]
            means = 100 * of_depth.groupby(setting)[error].mean()
            look = {"color": colours[depth], "ms": 4, "alpha": 0.8, "mew": 0}
            axes.plot(of_depth[setting], 100 * of_depth[error], "o", **look)  # type: ignore[arg-type]
            axes.plot(means.index, means, color=colours[depth], linewidth=1.3)
        axes.set_title(f"{style.NAMES[shortcut]}: {errors[error]}")
        axes.set(xlabel=label, ylabel="error")
        _mark_values(axes, sorted(runs[setting].unique()))
    return figure, dict(zip(places, panels, strict=True))


def _mark_values(axes: Axes, values: list[float]) -> None:
    """A logarithmic axis with a tick at each of `values`, which are sorted."""
    axes.set_xscale("log")
    axes.set_xlim(values[0] / 1.25, values[-1] * 1.25)
    axes.xaxis.set_major_locator(FixedLocator(values))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,g}"))
