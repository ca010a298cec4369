"""Final errors against the learning rate, with the best rate of each network marked.

It answers the objection that the plain network was mistuned: each network is compared at its best
rate, chosen on held-out training images, never on the test set.
"""

from collections.abc import Mapping
from typing import Any

import pandas as pd
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from analysis.frames import select
from analysis.plotting import layout, markers, setting_axis, style
from analysis.verdict.best_rates import CHOICE, RATE, at_rates, best

RING: dict[str, Any] = {"marker": "o", "ls": "none", "mfc": "none", "ms": 11, "mew": 1.6}


def draw(frame: pd.DataFrame) -> Figure:
    """Errors at the last iteration against the learning rate: mistuned, or degraded?

    `frame` as from `load.runs`, with runs of `network+learning_rate=x`.
    """
    runs, chosen = at_rates(frame), best(frame)
    colours = style.depth_colours(select.depths(runs))
    errors = select.ERRORS
    if not chosen.empty:
        errors = {CHOICE: "error on held-out images"} | errors
    label = "initial learning rate"
    with style.theme():
        figure, panels = setting_axis.draw(runs, RATE, label, errors, colours, (4.2, 2.9))
        for (error, shortcut), axes in panels.items():
            for network in chosen.to_dict("records"):
                if network["shortcut"] == shortcut:
                    look = {"color": colours[network["depth"]], "clip_on": False, **RING}
                    axes.plot(network["rate"], 100 * network[error], **look)
        style.percent_axis(list(panels.values()), own=True)
        for (_, shortcut), axes in panels.items():
            diverged = select.diverged(runs[runs["shortcut"] == shortcut])
            markers.crosses_on_edge(axes, diverged, RATE, colours)
        layout.finish(figure, _legend(runs, chosen, colours), frame)
    return figure


def _legend(runs: pd.DataFrame, chosen: pd.DataFrame, colours: Mapping[int, str]) -> list[Line2D]:
    handles = markers.depth_legend(colours, linewidth=1.5, marker="o")
    *_, colour = colours.values()
    if not chosen.empty:
        handles.append(markers.entry("best on held-out images", colour, **RING))
    return handles + markers.diverged_entries(runs, colour)
