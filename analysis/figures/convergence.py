"""How many iterations a network needs to reach a training error, against its depth."""

import math

import pandas as pd
from matplotlib.figure import Figure

from analysis.frames import notices, select
from analysis.plotting import layout, style
from analysis.plotting.depth_axis import DepthAxis

THRESHOLDS = (0.5, 0.2, 0.1)  # running training error


def iterations_to(frame: pd.DataFrame, threshold: float) -> pd.DataFrame:
    """The iteration of each run's first record with a running training error <= threshold.

    `frame` as from `load.runs`; columns depth, shortcut, seed, value. Infinite for a run that
    ended, or diverged, without getting there. Partial runs have no row: those that got there
    already would be the fast ones. It is counted in whole records: epochs, or the parts that the
    recipe asks for.
    """
    runs = select.grid_networks(frame)
    first = select.curves(runs[runs["train_error"] <= threshold]).groupby("directory")["iteration"]
    each = select.finals(runs[runs["status"].isin(["finished", "diverged"])])
    value = each["directory"].map(first.min()).astype(float).fillna(math.inf)
    return each.assign(value=value)[["depth", "shortcut", "seed", "value"]]


def draw(frame: pd.DataFrame) -> Figure:
    """Iterations to 50%, 20% and 10% running training error against depth, a panel each.

    `frame` as from `load.runs`. A dot is a seed, in its depth's colour; the line joins medians.
    What never gets there within the budget stands above the axis' last tick, at "never".
    """
    runs = select.grid_networks(frame)
    axis = DepthAxis.of(runs)
    budget = int(runs["recipe.iterations"].max())
    unit, label = style.iteration_unit(budget)
    never = 1.12 * budget / unit
    with style.theme():
        figure, panels = layout.panels(len(THRESHOLDS), 4.0, 3.6)
        for axes, threshold in zip(panels, THRESHOLDS, strict=True):
            points = iterations_to(frame, threshold)
            points["value"] /= unit
            axes.axhline(budget / unit, color=style.MUTED, linewidth=0.9, linestyle=":")
            axis.draw_seeds(axes, points.assign(value=points["value"].clip(upper=never)))
            axis.draw_medians(axes, points, never)
            axis.prepare(axes)
            axes.set(title=f"to {threshold:.0%} training error", ylabel=label)
            axes.set_ylim(0, 1.2 * budget / unit)
            ticks = [tick for tick in axes.get_yticks() if tick <= budget / unit]
            axes.set_yticks([*ticks, never], [*(f"{tick:g}" for tick in ticks), "never"])
        layout.finish(figure, axis.legend(), notices.notices(frame))
    return figure
