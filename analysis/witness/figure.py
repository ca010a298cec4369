"""Training errors of the witness and of SGD's own network against the iteration."""

from collections.abc import Mapping

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from analysis.frames import notices, select
from analysis.frames.witnesses import Witnesses
from analysis.plotting import layout, markers, style
from analysis.verdict import contrasts, finding


def applies(data: Witnesses) -> bool:
    """Whether any witness can be compared with SGD's network, or was trained on."""
    return bool(data.pairs())


def draw(data: Witnesses) -> Figure:
    """Training errors of source, witness, SGD's network and the witness trained on, by pair."""
    pairs = sorted(data.pairs(), key=lambda pair: pair[0] == pair[1])  # copies, the control, last
    rates = sorted(data.curves["learning_rate"].unique().tolist())
    colours = dict(zip(rates, style.shades(len(rates)), strict=True))
    depths = style.depth_colours(sorted({*data.points["source_depth"], *data.points["depth"]}))
    with style.theme():
        figure, panels = layout.panels(len(pairs), 6.0, 4.0, min(len(pairs), 2))
        for axes, (source, deep) in zip(panels, pairs, strict=True):
            points, curves = data.of_pair(source, deep)
            _draw_trained(axes, data, points, depths[points["depth"].iloc[0]])
            _draw_continued(axes, curves, colours)
            _draw_source(axes, points, depths[points["source_depth"].iloc[0]])
            seeds = f"{len(points)} seeds" if len(points) > 1 else "one seed"
            name = deep if source != deep else f"{source} itself, trained on"
            axes.set_title(f"{name} ({seeds})")
            axes.set(xlabel="iteration", ylabel="training error")
            axes.set_xlim(0, None)
        style.log_percent_axis(panels)
        handles = _legend(data, pairs, colours, depths)
        notes = notices.of_runs(_shown(data, pairs)) + data.problems
        layout.write_around(figure, handles, notes, [finding.budget(data.runs)])
    return figure


def _shown(data: Witnesses, pairs: list[tuple[str, str]]) -> pd.DataFrame:
    """The rows of the runs that are drawn: those of `pairs`, at the seeds of their witnesses."""
    drawn = {
        (network, seed)
        for pair in pairs
        for seed in data.of_pair(*pair)[0]["seed"]
        for network in pair
    }
    runs = zip(data.runs["network"], data.runs["seed"], strict=True)
    return data.runs[[run in drawn for run in runs]]


def _draw_source(axes: Axes, points: pd.DataFrame, colour: str) -> None:
    """A horizontal line at the source's error, and the witness at iteration 0."""
    error = 100 * points["source_error"]
    axes.axhspan(error.min(), error.max(), color=colour, alpha=0.18, linewidth=0)
    axes.axhline(error.median(), color=colour, linewidth=1.3, linestyle="--", zorder=3)
    if (points["source"] != points["deep"]).all():
        axes.plot(
            0, 100 * points["witness_error"].median(), "*", color=style.INK, markersize=13,
            markeredgecolor=style.PAPER, zorder=7, clip_on=False,
        )  # fmt: skip


def _draw_trained(axes: Axes, data: Witnesses, points: pd.DataFrame, colour: str) -> None:
    """The error of SGD's network where it was measured, and at its end a dot a seed."""
    runs = select.curves(select.grid_networks(data.runs))
    runs = runs[runs["status"] == "finished"]
    runs = runs[(runs["network"] == points["deep"].iloc[0]) & runs["seed"].isin(points["seed"])]
    errors = 100 * runs.groupby("iteration")[contrasts.ENDPOINT].agg(["median", "min", "max"])
    style.draw_band(axes, errors.dropna(), colour)
    ends = select.finals(runs)
    axes.plot(
        ends["iteration"], 100 * ends[contrasts.ENDPOINT], "o", color=colour, markersize=7,
        markeredgecolor=style.PAPER, clip_on=False, zorder=6,
    )  # fmt: skip


def _draw_continued(axes: Axes, curves: pd.DataFrame, colours: Mapping[float, str]) -> None:
    """The witness's error in training on, by learning rate."""
    for rate, of_rate in curves.groupby("learning_rate"):
        colour = colours[float(str(rate))]
        finished = of_rate[of_rate["status"] == "finished"]
        band = 100 * finished.groupby("iteration")["error"].agg(["median", "min", "max"])
        style.draw_band(axes, band, colour)
        for _, of_run in of_rate[of_rate["status"] != "finished"].groupby("seed"):
            axes.plot(of_run["iteration"], 100 * of_run["error"], color=colour, linewidth=0.8)
            last = of_run.iloc[-1]
            if last["status"] == "diverged":
                markers.diverged_cross(axes, last["iteration"], 100 * last["error"], colour)


def _legend(
    data: Witnesses,
    pairs: list[tuple[str, str]],
    colours: Mapping[float, str],
    of_depths: Mapping[int, str],
) -> list[Line2D]:
    shown = data.points.set_index(["source", "deep"]).loc[pairs]
    sources = [
        markers.entry(f"{depth} layers, the source, at its end", of_depths[depth], lw=1.3, ls="--")
        for depth in sorted(set(shown["source_depth"]))
    ]
    by_sgd = [
        markers.entry(f"{depth} layers, by SGD", of_depths[depth], marker="o", ms=7)
        for depth in sorted(set(shown["depth"]))
    ]
    trained_on = {f"trained on from it at {rate:g}": colours[rate] for rate in colours}
    star = markers.entry("the witness", marker="*", ls="none", ms=12)
    return [*sources, *by_sgd, star, *markers.line_legend(trained_on)]
