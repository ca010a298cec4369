"""Final errors against the learning rate, with the best rate of each network marked.

It answers the objection that the plain network was mistuned: each network is compared at its best
rate, chosen on held-out training images, never on the test set.
"""

from collections.abc import Mapping
from typing import Any

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from analysis.frames import notices, select
from analysis.plotting import layout, markers, setting_axis, style
from analysis.verdict.best_rates import CHOICE, RATE, at_rates, best


def draw(frame: pd.DataFrame) -> Figure:
    """Errors at the last iteration against the learning rate: mistuned, or degraded?

    `frame` as from `load.runs`, with runs of `network+learning_rate=x`. A line a depth, a dot a
    seed; a ring is the rate chosen, a cross on the upper edge a run that diverged.
    """
    runs = at_rates(frame)
    kinds = select.shortcuts(runs)
    colours = style.depth_colours(select.depths(runs))
    chosen = best(frame)
    errors = select.ERRORS
    if not chosen.empty:
        errors = {CHOICE: "error on held-out images"} | errors
    with style.theme():
        rows = [(error, shortcut) for error in errors for shortcut in kinds]
        figure, panels = layout.panels(len(rows), 4.2, 2.9, len(kinds))
        for axes, (error, shortcut) in zip(panels, rows, strict=True):
            of_kind = runs[runs["shortcut"] == shortcut]
            setting_axis.draw_panel(axes, select.finished(of_kind), RATE, error, colours)
            _draw_chosen(axes, chosen, shortcut, error, colours)
            axes.set_title(f"{style.NAMES[shortcut]}: {errors[error]}")
            axes.set(xlabel="initial learning rate", ylabel="error")
            setting_axis.mark_values(axes, sorted(runs[RATE].unique()))
        style.percent_axis(panels)
        for axes, (_, shortcut) in zip(panels, rows, strict=True):
            of_kind = select.finals(runs[runs["shortcut"] == shortcut])
            for run in of_kind[of_kind["status"] == "diverged"].to_dict("records"):
                markers.diverged_cross(axes, run[RATE], None, colours[run["depth"]])
        layout.finish(figure, _legend(runs, chosen, colours), notices.notices(frame))
    return figure


def _draw_chosen(
    axes: Axes, chosen: pd.DataFrame, shortcut: str, error: str, colours: Mapping[int, str]
) -> None:
    """A ring around the mean at each network's best rate."""
    for network in chosen.to_dict("records"):
        if network["shortcut"] == shortcut:
            axes.plot(
                network["rate"], 100 * network[error], "o", **_ring(colours[network["depth"]])
            )


def _ring(colour: str) -> dict[str, Any]:
    return {"color": colour, "mfc": "none", "ms": 11, "mew": 1.6, "clip_on": False}


def _legend(runs: pd.DataFrame, chosen: pd.DataFrame, colours: Mapping[int, str]) -> list[Line2D]:
    handles = markers.depth_legend(colours, linewidth=1.5, marker="o")
    *_, colour = colours.values()
    if not chosen.empty:
        label = "best on held-out images"
        handles.append(Line2D([], [], marker="o", ls="none", label=label, **_ring(colour)))
    if (runs["status"] == "diverged").any():
        handles.append(markers.diverged_legend(colour))
    return handles
