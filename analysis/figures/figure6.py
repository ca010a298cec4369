"""Figure 6 of the paper, redrawn: error against iteration, a panel for each kind of shortcut."""

from collections.abc import Mapping

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.typing import LineStyleType

from analysis.fidelity import deviations
from analysis.frames import notices, select
from analysis.plotting import layout, markers, style
from resnet_bench.datasets.definitions import DATASETS

ERRORS = {"train_error": "training error (running)", "test_error": "test error"}
LINES: dict[str, LineStyleType] = {"train_error": (0, (3.0, 1.5)), "test_error": "-"}
DOTS = {"train_error": "_", "test_error": "o"}  # markers of a run with a single record


def draw(frame: pd.DataFrame, every_seed: bool = False) -> Figure:
    """Running training error (dashed) and test error (solid) of a suite's runs.

    `frame` as from `load.runs`. A line is the mean over the finished seeds, its band reaches from
    the lowest to the highest seed; `every_seed` draws each of them too. A finished run's last
    running error is over an epoch: its last record may cover a batch or two. Partial and diverged
    runs are thin lines; a cross marks where one diverged, at its last running error (chance's if it
    has none).
    """
    runs = select.over_last_epoch(select.grid_networks(frame))
    records = select.curves(runs)
    kinds = select.shortcuts(runs)
    colours = style.depth_colours(select.depths(runs))
    top = axis_top(runs)
    drops = {drop for of_run in runs["recipe.drops"] for drop in of_run}
    unit, label = style.iteration_unit(int(runs["recipe.iterations"].max()))
    records = records.assign(x=records["iteration"] / unit)
    with style.theme():
        figure, panels = layout.panels(len(kinds), 4.0, 3.6)
        for axes, shortcut in zip(panels, kinds, strict=True):
            panel = records[records["shortcut"] == shortcut]
            _draw_means(axes, panel[panel["status"] == "finished"], colours)
            _draw_each(axes, panel if every_seed else panel[panel["status"] != "finished"], colours)
            _draw_diverged(axes, runs[runs["shortcut"] == shortcut], unit, top, colours)
            for drop in drops:
                axes.axvline(drop / unit, color=style.MUTED, linewidth=0.9, linestyle=":", zorder=1)
            axes.set(title=style.NAMES[shortcut], xlabel=label, ylabel="error")
            axes.set_xlim(0, runs["recipe.iterations"].max() / unit)
        style.percent_axis(panels, top)
        notes = above_axis_notes(runs, top) + notices.notices(frame)
        layout.finish(figure, _legend(colours, bool(drops)), notes)
    return figure


def above_axis_notes(
    runs: pd.DataFrame, top: float | None, train: str = "train_error", test: str = "test_error"
) -> list[str]:
    """The networks whose mean errors end above the axis (`top`, per cent): a sentence each."""
    if top is None:
        return []
    errors = 100 * select.finished(runs).groupby("network", sort=False)[[train, test]].mean()
    return [
        f"{network} ends above the axis: train {train_error:.1f}%, test {test_error:.1f}%."
        for network, train_error, test_error in errors.itertuples()
        if max(train_error, test_error) > top
    ]


def axis_top(runs: pd.DataFrame) -> float | None:
    """The upper end of the paper's axis, per cent; None if no network's runs compare with its."""
    same = any(deviations.compares(of_network) for _, of_network in runs.groupby("network"))
    return style.PAPER_TOP if same else None


def _draw_means(axes: Axes, records: pd.DataFrame, colours: Mapping[int, str]) -> None:
    """A line and a band for each depth and error; `records` of finished runs, with column x."""
    for error, look in LINES.items():
        for depth in select.depths(records):
            by_x = records[records["depth"] == depth].groupby("x")[error]
            band = 100 * by_x.agg(["mean", "min", "max"])
            style.draw_band(axes, band, colours[depth], look)
            if len(band) == 1:  # one record makes no line
                (dot,) = axes.plot(
                    band.index, band["mean"], DOTS[error], color=colours[depth], ms=5
                )
                dot.set_clip_on(False)


def _draw_each(axes: Axes, records: pd.DataFrame, colours: Mapping[int, str]) -> None:
    """A thin line for each run and error."""
    for _, of_run in records.groupby("directory"):
        for error, look in LINES.items():
            axes.plot(
                of_run["x"], 100 * of_run[error], color=colours[of_run["depth"].iloc[0]], lw=0.7,
                alpha=0.8, ls=look, marker=DOTS[error] if len(of_run) == 1 else "", ms=3,
            )  # fmt: skip


def _draw_diverged(
    axes: Axes, runs: pd.DataFrame, unit: int, top: float | None, colours: Mapping[int, str]
) -> None:
    """A cross where each run diverged, at its last running error, at most at `top` (per cent)."""
    finals = select.finals(runs[runs["status"] == "diverged"])
    chance = 1 - 1 / DATASETS[runs["dataset"].iloc[0]].classes
    for run in finals.fillna({"train_error": chance}).to_dict("records"):
        y = min(100 * run["train_error"], top or 100)
        markers.diverged_cross(axes, run["ended_at"] / unit, y, colours[run["depth"]])


def error_legend() -> list[Line2D]:
    """The line styles of `ERRORS`."""
    return [
        Line2D([], [], color=style.INK, lw=1.3, linestyle=LINES[error], label=label)
        for error, label in ERRORS.items()
    ]


def _legend(colours: Mapping[int, str], with_drops: bool) -> list[Line2D]:
    handles = markers.depth_legend(colours) + error_legend()
    if with_drops:
        look = {"color": style.MUTED, "linewidth": 0.9, "linestyle": ":"}
        handles.append(Line2D([], [], label="learning rate drops", **look))  # type: ignore[arg-type]
    return handles
