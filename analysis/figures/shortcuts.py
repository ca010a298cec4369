"""Options B and C against option A at equal depth, paired by seed."""

import pandas as pd
from matplotlib.figure import Figure

from analysis.figures import degradation
from analysis.frames import select
from analysis.plotting import layout, style
from analysis.plotting.depth_axis import DepthAxis


def applies(frame: pd.DataFrame) -> bool:
    """Whether option A and another have finished runs at one depth and seed."""
    return not differences(frame, "test_error").empty


def differences(frame: pd.DataFrame, error: str) -> pd.DataFrame:
    """The final error of option B or C less option A's, at each depth and seed that has both.

    Columns depth, shortcut (B, C), seed, value (fraction): one row a pair of finished runs that
    saw the same batches.
    """
    finals = select.finished(select.grid_networks(frame))
    finals = finals[["depth", "shortcut", "seed", error]].dropna()
    reference = finals[finals["shortcut"] == "A"].drop(columns="shortcut")
    others = finals[finals["shortcut"].isin(["B", "C"])]
    pairs = others.merge(reference, on=["depth", "seed"], suffixes=("", "_of_a"))
    pairs["value"] = pairs[error] - pairs[f"{error}_of_a"]
    return pairs[["depth", "shortcut", "seed", "value"]]


def draw(frame: pd.DataFrame) -> Figure:
    """Paired differences to option A in percentage points; `frame` as from `load.runs`."""
    runs = select.grid_networks(frame)
    axis = DepthAxis.of(runs[runs["shortcut"].isin(["B", "C"])])
    with style.theme():
        figure, panels = layout.panels(len(degradation.PANELS), 4.8, 3.4)
        for axes, (error, title) in zip(panels, degradation.PANELS.items(), strict=True):
            points = differences(frame, error).assign(value=lambda pairs: 100 * pairs["value"])
            axes.axhline(0, color=style.INK, linewidth=0.9, zorder=1)
            axis.draw(axes, points, connected=False)
            axes.set(title=title, ylabel="difference to option A (points)")
            style.difference_axis(axes)
        layout.finish(figure, axis.legend(connected=False), frame)
    return figure
