"""The number of iterations to a given training error, against depth."""

import math

import pandas as pd
from matplotlib.figure import Figure

from analysis.frames import select
from analysis.plotting import layout, style
from analysis.plotting.depth_axis import DepthAxis

# Running training errors that a threshold may be.
STEPS = (0.002, 0.005, 0.01, 0.02, 0.03, 0.05, 0.07, *(step / 20 for step in range(2, 20)))


def thresholds(frame: pd.DataFrame) -> list[float]:
    """What every network reaches, what the best one does, and between: at most three of `STEPS`.

    `frame` as from `load.runs`. A network reaches what the median of its seeds does.
    """
    runs = select.curves(select.grid_networks(frame))
    lowest = runs.groupby(["network", "directory"])["train_error"].min().dropna()
    reached = lowest.groupby("network").median()
    if reached.empty:
        return [STEPS[-1]]
    best, worst = (
        min((step for step in STEPS if step >= error), default=STEPS[-1])
        for error in (reached.min(), reached.max())
    )
    between = min(STEPS, key=lambda step: abs(math.log(step**2 / (best * worst))))
    return sorted({best, between, worst}, reverse=True)


def iterations_to(frame: pd.DataFrame, threshold: float) -> pd.DataFrame:
    """The iteration of each run's first record with a running training error <= threshold.

    `frame` as from `load.runs`; columns depth, shortcut, seed, value. The value is infinite for a
    run that finished or diverged without such a record. Partial runs have no row: those that have
    such a record already are the fast ones. The resolution is that of records: an epoch, or the
    part of one that the recipe sets.
    """
    runs = select.grid_networks(frame)
    reached = runs.loc[runs["train_error"] <= threshold, ["directory", "epoch", "iteration"]]
    first = select.curves(reached).groupby("directory")["iteration"]
    ended = select.finals(runs[runs["status"].isin(["finished", "diverged"])])
    value = ended["directory"].map(first.min()).astype(float).fillna(math.inf)
    return ended.assign(value=value)[["depth", "shortcut", "seed", "value"]]


def draw(frame: pd.DataFrame) -> Figure:
    """Iterations to the `thresholds` of running training error against depth, a panel each.

    `frame` as from `load.runs`. Infinite values are drawn at "never", above the last tick.
    """
    runs = select.grid_networks(frame)
    axis = DepthAxis.of(runs)
    budget = int(runs["recipe.iterations"].max())
    unit, label = style.iteration_unit(budget)
    never = 1.12 * budget / unit
    errors = thresholds(frame)
    with style.theme():
        figure, panels = layout.panels(len(errors), 4.0, 3.6)
        for axes, threshold in zip(panels, errors, strict=True):
            points = iterations_to(frame, threshold)
            points["value"] /= unit
            axes.axhline(budget / unit, color=style.MUTED, linewidth=0.9, linestyle=":")
            axis.draw_seeds(axes, points.assign(value=points["value"].clip(upper=never)))
            for shortcut in select.shortcuts(points):
                of_kind = points[points["shortcut"] == shortcut]
                medians = of_kind.groupby("depth")["value"].median()  # infinite where never
                axis.draw_line(axes, medians.clip(upper=never), shortcut)
            axis.prepare(axes)
            axes.set(title=f"to {100 * threshold:g}% training error", ylabel=label)
            axes.set_ylim(0, 1.2 * budget / unit)
            ticks = [tick for tick in axes.get_yticks() if tick <= budget / unit]
            axes.set_yticks([*ticks, never], [*(f"{tick:g}" for tick in ticks), "never"])
        layout.finish(figure, axis.legend(), frame)
    return figure
