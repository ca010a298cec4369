"""Final error against depth: the degradation problem."""

from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from analysis.fidelity import deviations, paper
from analysis.figures import figure6
from analysis.frames import select
from analysis.plotting import layout, markers, style
from analysis.plotting.depth_axis import ASIDE, DepthAxis

PANELS = {
    "precise_train_error": "training error (evaluation mode, precise batch norm)",
    "test_error": "test error",
}
INSET = (0.13, 0.57, 0.37, 0.32)  # left, bottom, width, height, as fractions of a panel
PAPER_LOOK: dict[str, Any] = {"markerfacecolor": "none", "markersize": 6, "zorder": 5}


def draw(frame: pd.DataFrame) -> Figure:
    """Errors at the last iteration against depth, beside the paper's if they compare with it.

    `frame` as from `load.runs`. A dot is a seed, a cross on the upper edge a run that diverged.
    """
    runs = select.grid_networks(frame)
    axis = DepthAxis.of(runs)
    top = figure6.axis_top(runs)
    with style.theme():
        figure, panels = layout.panels(len(PANELS), 4.8, 3.8)
        for axes, (error, title) in zip(panels, PANELS.items(), strict=True):
            points = select.finished(runs).assign(value=lambda finals: 100 * finals[error])  # noqa: B023
            axis.draw(axes, points)
            if top is not None:
                _draw_paper(axes, error, axis, runs)
            axes.set(title=title, ylabel="error at the last iteration")
        style.percent_axis(panels, top)
        for axes, error in zip(panels, PANELS, strict=True):
            axis.draw_diverged(axes, select.diverged(runs))
            _draw_residual_alone(axes, select.finished(runs), error, axis)
        handles = _legend(runs, axis, with_paper=top is not None)
        layout.finish(figure, handles, frame, figure6.above_axis_notes(runs, top, *PANELS))
    return figure


def _draw_residual_alone(axes: Axes, finals: pd.DataFrame, error: str, axis: DepthAxis) -> None:
    """An inset of the residual networks, if plain ones' errors stretch the axis too far for them.

    It is drawn above the shallow plain networks, if they leave room.
    """
    points = finals.assign(value=100 * finals[error])
    residual, plain = (points[(points["shortcut"] != "none") == kind] for kind in (True, False))
    if plain.empty or residual.empty:
        return
    of_depths = plain.groupby("depth")["value"]
    means = of_depths.mean()
    places = [axis.place(int(depth), "none") for depth in means.index]
    left, bottom, width, _ = INSET
    right = (left + width) * len(axis.depths) - 0.5
    seeds = of_depths.max()[[place - ASIDE < right for place in places]]
    below = [*seeds, np.interp(right, places, means)]
    top = axes.get_ylim()[1]
    if max(below) > bottom * top or residual["value"].max() > style.FLATTENED * top:
        return
    inset = axes.inset_axes(INSET)
    axis.draw(inset, residual)
    style.percent_axis([inset])
    inset.set(xlabel="", ylabel="")
    inset.set_title("residual alone", fontsize=8.5, color=style.MUTED, pad=3)
    inset.tick_params(labelsize=7.5)


def _draw_paper(axes: Axes, error: str, axis: DepthAxis, runs: pd.DataFrame) -> None:
    """The paper's points of the networks that compare: test errors; of plain, training errors."""
    for (shortcut, depth), reference in paper.REFERENCES.items():
        ours = runs[(runs["shortcut"] == shortcut) & (runs["depth"] == depth)]
        if ours.empty or not deviations.compares(ours):
            continue
        value = reference.test_error if error == "test_error" else reference.train_error
        if value is not None:
            x = axis.depths.index(depth) + axis.right
            colour, marker = style.SHORTCUT_COLOURS[shortcut], style.MARKERS[shortcut]
            axes.plot(x, 100 * value, marker, color=colour, **PAPER_LOOK)


def _legend(runs: pd.DataFrame, axis: DepthAxis, with_paper: bool) -> list[Line2D]:
    handles = axis.legend()
    if with_paper:
        label = "the paper's (training: running error)"
        handles.append(markers.entry(label, style.MUTED, marker="o", ls="none", **PAPER_LOOK))
    return handles + markers.diverged_entries(runs, style.MUTED)
