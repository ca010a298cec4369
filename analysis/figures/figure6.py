"""Figure 6 of the paper, redrawn: error against iteration, a panel for each kind of shortcut."""

from collections.abc import Mapping

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.typing import LineStyleType

from analysis.fidelity import deviations
from analysis.frames import select
from analysis.plotting import layout, markers, style
from resnet_bench.datasets.definitions import DATASETS

DASHED: LineStyleType = (0, (3.0, 1.5))
LINES: dict[str, LineStyleType] = {"train_error": DASHED, "test_error": "-"}
# What of `load.runs` is drawn: the other columns of many runs are a gigabyte.
DRAWN = ["label", "status", "directory", "epoch", "iteration", "recipe.iterations", "recipe.drops"]
DRAWN += LINES
INSET = (0.42, 0.45, 0.53, 0.42)  # left, bottom, width, height, as fractions of a panel
NAMES = {"train_error": "training error (running)", "test_error": "test error"}


def draw(frame: pd.DataFrame, every_seed: bool = False) -> Figure:
    """Running training error (dashed) and test error (solid) of a suite's runs.

    `frame` as from `load.runs`; the lines are those of `draw_records`. A finished run's last
    running error is over an epoch: its last record may cover a batch or two. A cross marks where a
    run diverged, at its last running error (chance's if it has none).
    """
    runs = select.over_last_epoch(select.grid_networks(frame))
    runs = runs.assign(label=runs["depth"].astype(str) + " layers")
    depths = style.depth_colours(select.depths(runs))
    colours = {f"{depth} layers": colour for depth, colour in depths.items()}
    kinds = select.shortcuts(runs)
    top = axis_top(runs)
    drawn = runs[[*DRAWN, "shortcut", "dataset", "ended_at"]]
    with style.theme():
        figure, panels = layout.panels(len(kinds), 4.0, 3.6)
        for axes, shortcut in zip(panels, kinds, strict=True):
            of_kind = drawn[drawn["shortcut"] == shortcut]
            draw_records(axes, of_kind, LINES, colours, 100, every_seed)
            _draw_diverged(axes, of_kind, top, colours)
            axes.set(title=style.NAMES[shortcut], ylabel="error")
        style.percent_axis(panels, top)
        for axes, shortcut in zip(panels, kinds, strict=True):
            _draw_end_alone(axes, runs[runs["shortcut"] == shortcut], colours)
        layout.finish(figure, legend(runs, colours, NAMES), frame, above_axis_notes(runs, top))
    return figure


def _draw_end_alone(axes: Axes, runs: pd.DataFrame, colours: Mapping[str, str]) -> None:
    """An inset of finished runs from the first drop on, if the axis is too high to tell them apart.

    It is drawn above the curves, if they leave room.
    """
    longest = int(runs["recipe.iterations"].max())
    unit, _ = style.iteration_unit(longest)
    begin = min((drop for drops in runs["recipe.drops"] for drop in drops), default=longest // 2)
    finished = runs[runs["status"] == "finished"]
    left, bottom, _, _ = INSET
    below = finished[finished["iteration"] >= left * longest]
    ends = finished[finished["iteration"] > begin]
    top = axes.get_ylim()[1] / 100
    if ends.empty or _highest(ends) > style.FLATTENED * top or _highest(below) > bottom * top:
        return
    inset = axes.inset_axes(INSET)
    draw_records(inset, ends, LINES, colours, 100)
    inset.set(xlim=(begin / unit, longest / unit), xlabel="")
    style.percent_axis([inset])
    inset.set_title("after the first drop", fontsize=8.5, color=style.MUTED, pad=3)
    inset.tick_params(labelsize=7.5)


def _highest(runs: pd.DataFrame) -> float:
    return float(runs[list(LINES)].to_numpy(dtype=float).max(initial=0.0))


def draw_records(
    axes: Axes,
    runs: pd.DataFrame,
    lines: Mapping[str, LineStyleType],
    colours: Mapping[str, str],
    scale: int,
    every_seed: bool = False,
    bands: bool = True,
) -> None:
    """The columns `lines` of runs, times `scale`, against the iteration.

    `runs` as from `load.runs`, with a column label, the key of `colours`. A line is the mean over
    finished seeds of one label, its band, if any, reaches from the lowest to the highest; thin
    lines are runs that are not finished, or all with `every_seed`. A single record is a marker.
    """
    longest = int(runs["recipe.iterations"].max())
    unit, axis_label = style.iteration_unit(longest)
    records = select.curves(runs)
    records = records.assign(x=records["iteration"] / unit)
    finished = records["status"] == "finished"
    for column, look in lines.items():
        for label, of_label in records[finished].groupby("label", sort=False):
            band = scale * of_label.groupby("x")[column].agg(["mean", "min", "max"])
            if not bands:
                band = band.assign(min=band["mean"], max=band["mean"])  # of no height
            style.draw_band(axes, band, colours[str(label)], look)
            _draw_single(axes, band["mean"], look, colours[str(label)], 5)
    for _, of_run in (records if every_seed else records[~finished]).groupby("directory"):
        colour = colours[of_run["label"].iloc[0]]
        for column, look in lines.items():
            values = scale * of_run.set_index("x")[column]
            axes.plot(values.index, values, color=colour, lw=0.7, alpha=0.8, ls=look)
            _draw_single(axes, values, look, colour, 3)
    for drop in {drop for of_run in runs["recipe.drops"] for drop in of_run}:
        axes.axvline(drop / unit, color=style.MUTED, linewidth=0.9, linestyle=":", zorder=1)
    axes.set(xlabel=axis_label, xlim=(0, longest / unit))


def _draw_single(
    axes: Axes, values: pd.Series, look: LineStyleType, colour: str, size: float
) -> None:
    """A marker where there is a single record, which makes no line."""
    if len(values) == 1:
        marker = "_" if look == DASHED else "o"
        axes.plot(values.index, values, marker, color=colour, ms=size, clip_on=False)


def legend(
    runs: pd.DataFrame, colours: Mapping[str, str], names: Mapping[str, str]
) -> list[Line2D]:
    """The entries of `draw_records`: labels, errors (columns of `LINES` and names), drops."""
    handles = markers.line_legend(colours)
    for error, name in names.items():
        handles.append(markers.entry(name, lw=1.3, linestyle=LINES[error]))
    if runs["recipe.drops"].map(len).any():
        label = "learning rate drops"
        handles.append(markers.entry(label, style.MUTED, linewidth=0.9, linestyle=":"))
    return handles


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


def _draw_diverged(
    axes: Axes, runs: pd.DataFrame, top: float | None, colours: Mapping[str, str]
) -> None:
    """A cross where each run diverged, at its last running error, at most at `top` (per cent)."""
    unit, _ = style.iteration_unit(int(runs["recipe.iterations"].max()))
    chance = 1 - 1 / DATASETS[runs["dataset"].iloc[0]].classes
    for run in select.diverged(runs).fillna({"train_error": chance}).to_dict("records"):
        y = min(100 * run["train_error"], top or 100)
        markers.diverged_cross(axes, run["ended_at"] / unit, y, colours[run["label"]])
