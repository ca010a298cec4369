"""Running, clean and precise training error: are the weights bad, or the running statistics?

In evaluation mode batch norm uses running statistics, which lag behind the weights; in deep plain
networks that alone can look like degradation. The precise error uses statistics re-estimated on
training images instead.
"""

from typing import Any

import pandas as pd
from matplotlib.figure import Figure

from analysis.formatting import percent
from analysis.frames import select
from analysis.plotting import layout, markers, style
from analysis.plotting.depth_axis import DepthAxis

MARKERS = {"train_error": "o", "clean_train_error": "s", "precise_train_error": "D"}
NAMES = {
    "train_error": "running (train mode, augmented, last epoch)",
    "clean_train_error": "clean (evaluation mode)",
    "precise_train_error": "precise (statistics re-estimated)",
}
STEP = 0.22  # between the three at one depth, where depths are 1 apart


def applies(frame: pd.DataFrame) -> bool:
    """Whether any run of a grid network is finished."""
    return not select.finished(select.grid_networks(frame)).empty


def draw(frame: pd.DataFrame) -> Figure:
    """Training errors at the last iteration, a panel a shortcut; `frame` as from `load.runs`."""
    finals = select.finished(select.over_last_epoch(select.grid_networks(frame)))
    axis = DepthAxis.of(finals)
    with style.theme():
        figure, panels = layout.panels(len(axis.shortcuts), 4.0, 3.4)
        for axes, shortcut in zip(panels, axis.shortcuts, strict=True):
            of_kind = finals[finals["shortcut"] == shortcut]
            colour = style.SHORTCUT_COLOURS[shortcut]
            look: dict[str, Any] = {"color": colour, "linestyle": "none"}
            for place, depth in enumerate(axis.depths):
                runs = of_kind[of_kind["depth"] == depth]
                for lane, (error, marker) in enumerate(MARKERS.items(), start=-1):
                    x, values = place + STEP * lane, 100 * runs[error]
                    axes.plot([x + 0.09] * len(values), values, ".", markersize=4, **look)
                    axes.plot(x, values.mean(), marker, markersize=6.5, **look)
            axis.prepare(axes)
            axes.set(title=style.NAMES[shortcut], ylabel="training error")
        style.percent_axis(panels, own=True)
        handles = [
            markers.entry(NAMES[error], marker=marker, linestyle="none")
            for error, marker in MARKERS.items()
        ]
        layout.finish(figure, handles, frame)
    return figure


def sentences(frame: pd.DataFrame) -> list[str]:
    """The mean errors of the network in which clean and precise error differ most."""
    finals = select.finished(select.over_last_epoch(select.grid_networks(frame)))
    means = finals.groupby("network", sort=False)[list(MARKERS)].mean().dropna()
    if means.empty:
        return []
    gap = (means["clean_train_error"] - means["precise_train_error"]).abs()
    widest = means.assign(gap=gap).sort_values("gap", kind="stable").tail(1)
    running, clean, precise = map(percent, widest.iloc[0][list(MARKERS)])
    return [
        "Training errors of the network in which clean and precise differ most,"
        f" {widest.index[0]}: running {running}% (over the last epoch), clean {clean}%,"
        f" precise {precise}%."
    ]
