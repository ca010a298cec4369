"""Final error against the budget, and against the learning rate."""

from typing import Any

import pandas as pd
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FixedLocator, FuncFormatter, NullLocator

from analysis import checks, degradation, select, style

# What two suites may differ in and still be the same experiment at two budgets: the drops stand
# at the same fractions, and how often is measured does not touch the training.
OF_THE_BUDGET = (
    "recipe.iterations",
    "recipe.drops",
    "recipe.clean_every",
    "recipe.precise_batches",
    "recipe.layers_at",
)


def has_budgets(frame: pd.DataFrame) -> bool:
    """Whether there are finished runs of one experiment at two budgets."""
    return len(select.finished(at_budgets(frame))["recipe.iterations"].unique()) > 1


def has_learning_rates(frame: pd.DataFrame) -> bool:
    """Whether there are finished runs of one experiment at two learning rates."""
    return len(select.finished(at_learning_rates(frame))["recipe.learning_rate"].unique()) > 1


def at_budgets(frame: pd.DataFrame) -> pd.DataFrame:
    """Runs like the first suite's but for the budget, of networks with several budgets."""
    runs = select.own(frame)
    same = [
        column
        for column in runs.columns
        if column.startswith("recipe.") and column not in OF_THE_BUDGET
    ]
    return _varied(_like_the_first(runs, [*same, "dataset"]), "recipe.iterations")


def at_learning_rates(frame: pd.DataFrame) -> pd.DataFrame:
    """The first suite's runs of networks that ran at several learning rates, all else equal."""
    runs = frame[(frame["problem"] == "") & (frame["suite"] == frame["suite"].iloc[0])]
    only_rate = runs["changed"].str.fullmatch(r"(learning_rate=[^+]*)?")
    return _varied(runs[only_rate], "recipe.learning_rate")


def draw_budgets(frame: pd.DataFrame, columns: int | None = None) -> Figure:
    """Errors at the last iteration against the number of iterations: slow, or stuck?

    `frame` as from `load.runs` of several suites; see `at_budgets` for those compared.
    """
    return _draw(at_budgets(frame), frame, "recipe.iterations", "iterations in all", columns)


def draw_learning_rates(frame: pd.DataFrame, columns: int | None = None) -> Figure:
    """Errors at the last iteration against the learning rate: mistuned, or degraded?

    `frame` as from `load.runs`, with runs of `network+learning_rate=x`.
    """
    runs = at_learning_rates(frame)
    return _draw(runs, frame, "recipe.learning_rate", "initial learning rate", columns)


def _draw(
    runs: pd.DataFrame, frame: pd.DataFrame, setting: str, label: str, columns: int | None
) -> Figure:
    """Training error above, test error below, a panel a shortcut; a line a depth, a dot a seed."""
    ended = select.finished(runs)
    kinds = select.shortcuts(ended)
    with style.theme():
        rows = [(error, shortcut) for error in degradation.PANELS for shortcut in kinds]
        figure, panels = style.panels(len(rows), columns or len(kinds), 3.6, 3.0)
        for axes, (error, shortcut) in zip(panels, rows, strict=True):
            _draw_panel(axes, ended[ended["shortcut"] == shortcut], setting, error)
            what = "test error" if error == "test_error" else "training error"
            axes.set(title=f"{style.NAMES[shortcut]}: {what}", xlabel=label, ylabel="error")
            _mark_values(axes, sorted(ended[setting].unique()))
        style.percent_axis(panels)
        handles = [
            Line2D([], [], color=style.depth_colour(depth), marker="o", label=f"{depth} layers")
            for depth in select.depths(ended)
        ]
        style.frame_panels(figure, handles, checks.notices(frame))
    return figure


def _draw_panel(axes: Axes, ended: pd.DataFrame, setting: str, error: str) -> None:
    table = ended.assign(error=100 * ended[error])
    palette = {depth: style.depth_colour(depth) for depth in select.depths(ended)}
    look: dict[str, Any] = {
        "x": setting,
        "y": "error",
        "hue": "depth",
        "palette": palette,
        "legend": False,
    }
    sns.scatterplot(table, s=20, alpha=0.8, edgecolor="none", ax=axes, **look)
    means = table.groupby(["depth", setting])["error"].mean().reset_index()
    sns.lineplot(means, estimator=None, linewidth=1.3, ax=axes, **look)


def _mark_values(axes: Axes, values: list[float]) -> None:
    """A logarithmic axis with a tick at each value that was run."""
    axes.set_xscale("log")
    axes.set_xlim(values[0] / 1.25, values[-1] * 1.25)
    axes.xaxis.set_major_locator(FixedLocator(values))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,g}"))


def _like_the_first(runs: pd.DataFrame, columns: list[str]) -> pd.DataFrame:
    keep = runs["seed"].notna()
    for column in columns:
        keep &= runs[column] == runs[column].iloc[0]
    return runs[keep]


def _varied(runs: pd.DataFrame, setting: str) -> pd.DataFrame:
    """The runs of those networks that have been run at more than one value of `setting`."""
    return runs[runs.groupby(["depth", "shortcut"])[setting].transform("nunique") > 1]
