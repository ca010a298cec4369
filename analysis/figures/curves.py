"""Curves of named experiments, for suites without grid networks, such as `tutorials`.

In other suites named experiments are variants of a grid network: see `figures/variants.py`.
"""

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from analysis.figures import figure6
from analysis.frames import notices, select
from analysis.plotting import layout, markers, style

# Okabe and Ito's colours, one for each experiment.
COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#7a7ad6", "#8c6d1f")


def applies(frame: pd.DataFrame) -> bool:
    """Whether the suite is made of named experiments alone, and any has a record."""
    return not select.has_own(frame) and not select.curves(select.declared(frame)).empty


def groups(runs: pd.DataFrame) -> list[pd.DataFrame]:
    """The rows of each group of experiments with one data set and recipe."""
    keys = select.recipe_columns(runs)
    return [of_recipe for _, of_recipe in runs.groupby(keys, sort=False, dropna=False)]


def draw(frame: pd.DataFrame, columns: int | None = None) -> Figure:
    """Errors, and beside them the training loss, by iteration: two panels a data set and recipe.

    `frame` as from `load.runs`. A colour is an experiment. Lines are means over finished seeds;
    thin ones runs that are partial or diverged, a cross where one diverged.
    """
    runs = select.declared(frame)
    alike = groups(runs)
    networks = list(dict.fromkeys(runs["network"]))
    with style.theme():
        rows = [(group, losses) for group in alike for losses in (False, True)]
        figure, panels = layout.panels(len(rows), columns or min(len(rows), 4), 3.4, 3.2)
        titles = _titles(alike)
        for number, (axes, (group, losses)) in enumerate(zip(panels, rows, strict=True)):
            iterations = int(group["recipe.iterations"].iloc[0])
            unit, label = style.iteration_unit(iterations)
            for network, of_network in group.groupby("network", sort=False):
                records = select.curves(of_network)
                places = {"x": records["iteration"] / unit, "end": records["ended_at"] / unit}
                _draw_lines(axes, records.assign(**places), _colour(str(network), networks), losses)
            title = titles[number // 2]
            axes.set(title=title, xlabel=label, ylabel="training loss" if losses else "error")
            axes.set_xlim(0, iterations / unit)
        for axes in panels[::2]:
            style.percent_axis([axes])
        layout.finish(figure, _legend(networks), notices.notices(frame))
    return figure


def _titles(alike: list[pd.DataFrame]) -> list[str]:
    """Data set and iterations of each group; of equal ones also the settings that differ."""
    firsts = [group.iloc[0] for group in alike]
    titles = [f"{run['dataset']}, {run['recipe.iterations']:,} iterations" for run in firsts]
    columns = select.recipe_columns(alike[0])
    distinct = []
    for title, run in zip(titles, firsts, strict=True):
        same = [other for other, its in zip(firsts, titles, strict=True) if its == title]
        differing = [
            column for column in columns if any(run[column] != other[column] for other in same)
        ]
        words = [f"{column.partition('.')[2]}: {run[column]}" for column in differing[:2]]
        distinct.append("\n".join([title, ", ".join(words)]) if words else title)
    return distinct


def _colour(network: str, networks: list[str]) -> str:
    return COLOURS[networks.index(network) % len(COLOURS)]


def _draw_lines(axes: Axes, records: pd.DataFrame, colour: str, losses: bool) -> None:
    """The mean of the finished seeds, and each other run, of one experiment."""
    looks = {"train_loss": "-"} if losses else figure6.LINES
    scale = 1 if losses else 100
    finished = records[records["status"] == "finished"]
    for column, look in looks.items():
        means = scale * finished.groupby("x")[column].mean()
        axes.plot(means.index, means, color=colour, linewidth=1.5, linestyle=look)
        if len(means) == 1:  # one record makes no line
            marker = figure6.DOTS.get(column, "o")
            axes.plot(means.index, means, marker, color=colour, markersize=5, clip_on=False)
    for _, of_run in records[records["status"] != "finished"].groupby("directory"):
        for column, look in looks.items():
            axes.plot(of_run["x"], scale * of_run[column], color=colour, lw=0.8, linestyle=look)
        last = of_run.iloc[-1]
        if last["status"] == "diverged":
            column = next(iter(looks))
            markers.diverged_cross(axes, last["end"], scale * last[column], colour)


def _legend(networks: list[str]) -> list[Line2D]:
    colours = {network: _colour(network, networks) for network in networks}
    return markers.line_legend(colours) + figure6.error_legend()
