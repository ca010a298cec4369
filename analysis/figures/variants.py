"""Final errors of variants beside those of the networks that they vary."""

from typing import Any

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from analysis.frames import select
from analysis.plotting import layout, markers, style
from analysis.plotting.depth_axis import DepthAxis
from analysis.verdict.variants import pairs

ASIDE = 0.07  # from a pair's middle to each of it
# What `pairs` calls a difference, in words; another one keeps its field's name.
WORDS = {
    "activation: pre": "pre-activation",
    "block: bottleneck": "bottlenecks",
    "normalization: none": "without batch norm",
    "last_scale: zero": "last scale begins at zero",
    "pad: before-mean": "padded before the mean is subtracted",
    "batch_norm_images: 32": "batch norm over 32 images",
    "batch_norm_images: 64": "batch norm over 64 images",
    "zero_channels: both": "zero channels on both sides",
}


def draw(frame: pd.DataFrame) -> Figure:
    """Final errors of networks (open) and variants (filled) side by side, a panel a difference.

    `frame` as from `load.runs`.
    """
    found = pairs(frame)
    axis = DepthAxis.of(found, step=0.36)
    kinds = list(dict.fromkeys(found["differs"]))
    runs = select.declared(frame)
    lost = found[found["network"].isin(select.diverged(runs)["network"])]
    with style.theme():
        rows = [(error, kind) for error in select.ERRORS for kind in kinds]
        figure, panels = layout.panels(len(rows), 3.2, 3.0, min(len(kinds), 4))
        for axes, (error, kind) in zip(panels, rows, strict=True):
            for pair in found[found["differs"] == kind].to_dict("records"):
                _draw_pair(axes, axis, select.finished(runs), pair, error)
            axis.prepare(axes)
            axes.set(title=WORDS.get(kind, kind), ylabel=select.ERRORS[error])
        style.log_percent_axis(panels)
        for axes, (_, kind) in zip(panels, rows, strict=True):
            axis.draw_diverged(axes, lost[lost["differs"] == kind], ASIDE)
        layout.finish(figure, _legend(axis), frame)
    return figure


def _draw_pair(
    axes: Axes, axis: DepthAxis, finals: pd.DataFrame, pair: dict[Any, Any], error: str
) -> None:
    """A network, its variant, the seeds of both, and the line from one mean to the other."""
    x = axis.place(pair["depth"], pair["shortcut"])
    base, variant = (
        100 * finals.loc[finals["network"] == pair[name], error] for name in ("base", "network")
    )
    look: dict[str, Any] = {"color": style.SHORTCUT_COLOURS[pair["shortcut"]], "zorder": 4}
    marker = style.MARKERS[pair["shortcut"]]
    axes.plot([x - ASIDE, x + ASIDE], [base.mean(), variant.mean()], lw=1, **look)
    for values, side, face in ((base, -1, style.PAPER), (variant, 1, look["color"])):
        axes.plot(x + side * ASIDE, values.mean(), marker, mfc=face, markersize=6, **look)
        axes.plot([x + 1.9 * side * ASIDE] * len(values), values, ".", markersize=4, **look)


def _legend(axis: DepthAxis) -> list[Line2D]:
    handles = []
    for shortcut in axis.shortcuts:
        look: dict[str, Any] = {"marker": style.MARKERS[shortcut], "linestyle": "none"}
        name, colour = style.NAMES[shortcut], style.SHORTCUT_COLOURS[shortcut]
        handles.append(markers.entry(name, colour, markerfacecolor=style.PAPER, **look))
        handles.append(markers.entry(f"{name}: variant", colour, **look))
    return handles
