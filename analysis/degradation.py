"""Final error against depth: the degradation problem in one figure."""

from typing import Any

import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from analysis import checks, figure6, paper, select, statistics, style

PANELS = {
    "precise_train_error": "training error, precise batch norm",
    "test_error": "test error",
}
STEP = 0.09  # between the shortcuts' markers at one depth, in units of the distance of two depths


def draw(frame: pd.DataFrame, columns: int | None = None) -> Figure:
    """Errors at the last iteration against depth, a line for each kind of shortcut.

    `frame` as from `load.runs`. A dot is a seed, in its depth's colour; a marker on the line is
    their mean, with Student's 95% interval from two seeds on. Where the suite is the paper's,
    its points stand beside as open markers. `columns` of panels: all if None.
    """
    runs = select.own(frame)
    ended = select.finished(runs)
    top = figure6.axis_top(runs)
    with style.theme():
        figure, panels = style.panels(len(PANELS), columns, 4.6, 3.8)
        for axes, (error, title) in zip(panels, PANELS.items(), strict=True):
            for shortcut in select.shortcuts(runs):
                _draw_line(axes, ended[ended["shortcut"] == shortcut], error, runs)
            if top is not None:
                _draw_paper(axes, error, runs)
            depths = select.depths(runs)
            axes.set_xticks(range(len(depths)), [str(depth) for depth in depths])
            axes.set_xlim(-0.4, len(depths) - 0.6)
            axes.grid(visible=False, axis="x")
            axes.set(title=title, xlabel="depth (weighted layers)", ylabel="error")
        style.percent_axis(panels, top)
        style.legend(figure, _legend(runs, with_paper=top is not None))
        style.note(figure, figure6.leavers(runs, top) + checks.notices(frame))
    return figure


def place(runs: pd.DataFrame, depth: int, shortcut: str) -> float:
    """Where on the depth axis: depths are a step apart, shortcuts side by side."""
    kinds = select.shortcuts(runs)
    offset = kinds.index(shortcut) - (len(kinds) - 1) / 2
    return select.depths(runs).index(depth) + STEP * offset


def _draw_line(axes: Axes, ended: pd.DataFrame, error: str, runs: pd.DataFrame) -> None:
    """The seeds, means and intervals of one kind of shortcut; `ended` its finished runs."""
    if ended.empty:
        return
    shortcut = ended["shortcut"].iloc[0]
    there = [place(runs, depth, shortcut) for depth in ended["depth"]]
    sns.scatterplot(
        x=there, y=100 * ended[error], hue=ended["depth"], legend=False, ax=axes,
        palette={depth: style.depth_colour(depth) for depth in select.depths(ended)},
        s=22, alpha=0.75, edgecolor="none", zorder=3,
    )  # fmt: skip
    look: dict[str, Any] = {"color": style.SHORTCUT_GREYS[shortcut], "zorder": 4}
    means = 100 * ended.groupby("depth")[error].mean()
    xs = [place(runs, int(depth), shortcut) for depth in means.index]
    axes.plot(
        xs, means, style.MARKERS[shortcut], linestyle="-", linewidth=1.2, markersize=5.5,
        markerfacecolor=style.PAPER, markeredgewidth=1.4, **look,
    )  # fmt: skip
    for x, (_, values) in zip(xs, ended.groupby("depth")[error], strict=True):
        if len(values) > 1:
            interval = statistics.t_interval(100 * values.to_numpy(dtype=np.float64))
            axes.vlines(x, max(0.0, interval.low), interval.high, linewidth=1.4, **look)


def _draw_paper(axes: Axes, error: str, runs: pd.DataFrame) -> None:
    """The paper's points: test error of both families, running training error of plain ones."""
    for (shortcut, depth), reference in paper.REFERENCES.items():
        value = reference.test_error if error == "test_error" else reference.train_error
        if value is None or depth not in select.depths(runs):
            continue
        if shortcut in select.shortcuts(runs):
            axes.plot(
                place(runs, depth, shortcut) + 2.2 * STEP, 100 * value, style.MARKERS[shortcut],
                color=style.depth_colour(depth), markerfacecolor="none", markersize=6.5, zorder=5,
            )  # fmt: skip


def _legend(runs: pd.DataFrame, with_paper: bool) -> list[Line2D]:
    handles = [
        Line2D(
            [], [], color=style.SHORTCUT_GREYS[shortcut], marker=style.MARKERS[shortcut],
            markerfacecolor=style.PAPER, markeredgewidth=1.4, label=style.NAMES[shortcut],
        )
        for shortcut in select.shortcuts(runs)
    ]  # fmt: skip
    if with_paper:
        look: dict[str, Any] = {"marker": "o", "linestyle": "none", "color": style.depth_colour(56)}
        label = "the paper's (training: running error)"
        handles.append(Line2D([], [], markerfacecolor="none", label=label, **look))
    return handles
