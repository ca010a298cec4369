"""Final error against a setting: panels that budgets and learning rates share; the budgets."""

from collections.abc import Mapping, Sequence
from fractions import Fraction

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FixedLocator, FuncFormatter, NullLocator

from analysis import checks, layout, select, style

# What two suites may differ in and still be the same experiment at two budgets, where their drops
# stand at the same fractions; how often is measured does not touch the training.
OF_THE_BUDGET = (
    "recipe.iterations",
    "recipe.drops",
    "recipe.records_per_epoch",
    "recipe.clean_every",
    "recipe.precise_batches",
    "recipe.layers_at",
)
BUDGET = "recipe.iterations"
ERRORS = {"precise_train_error": "training error", "test_error": "test error"}


def has_budgets(frame: pd.DataFrame) -> bool:
    """Whether there are finished runs of one experiment at two budgets."""
    if not select.has_own(frame):
        return False
    return len(select.finished(at_budgets(frame))[BUDGET].unique()) > 1


def at_budgets(frame: pd.DataFrame) -> pd.DataFrame:
    """The first suite's networks and those like them but for the budget, where there are any.

    Where two suites ran a network with one seed and budget, the first one's run is kept.
    """
    runs = select.own(frame)
    columns = [column for column in select.recipe_columns(runs) if column not in OF_THE_BUDGET]
    runs = _like_the_first(runs, columns)
    fractions = [drop_fractions(*of) for of in zip(runs["recipe.drops"], runs[BUDGET], strict=True)]
    runs = runs[[each == fractions[0] for each in fractions]]
    runs = varied(runs[_networks(runs).isin(_networks(runs)[_of_the_first_suite(runs)])], BUDGET)
    first_suite = runs.groupby(["depth", "shortcut", "seed", BUDGET])["suite"].transform("first")
    return runs[runs["suite"] == first_suite]


def drop_fractions(drops: Sequence[int], iterations: int) -> tuple[Fraction, ...]:
    """Where in a training the learning rate drops, as exact fractions of it."""
    return tuple(Fraction(int(drop), int(iterations)) for drop in drops)


def draw_budgets(frame: pd.DataFrame, columns: int | None = None) -> Figure:
    """Errors at the last iteration against the number of iterations: slow, or stuck?

    `frame` as from `load.runs` of several suites; see `at_budgets` for those compared. A line a
    depth, a dot a seed.
    """
    ended = compared(frame)
    kinds = select.shortcuts(ended)
    colours = style.depth_colours(select.depths(ended))
    with style.theme():
        rows = [(error, shortcut) for error in ERRORS for shortcut in kinds]
        figure, panels = layout.panels(len(rows), columns or len(kinds), 3.6, 3.0)
        for axes, (error, shortcut) in zip(panels, rows, strict=True):
            draw_panel(axes, ended[ended["shortcut"] == shortcut], BUDGET, error, colours)
            axes.set_title(f"{style.NAMES[shortcut]}: {ERRORS[error]}")
            axes.set(xlabel="iterations in all", ylabel="error")
            mark_values(axes, sorted(ended[BUDGET].unique()))
        style.percent_axis(panels)
        layout.frame_panels(figure, depth_lines(ended), checks.notices(_shown(frame)))
    return figure


def compared(frame: pd.DataFrame) -> pd.DataFrame:
    """One row a run: `at_budgets` at the seeds that a network has finished at every budget.

    So that a network is compared with itself; all that have finished if there are no such seeds.
    """
    ended = select.finished(at_budgets(frame))
    budgets = ended.groupby(["network", "seed"])[BUDGET].transform("nunique")
    common = ended[budgets == ended[BUDGET].nunique()]
    return ended if common.empty else common


def _shown(frame: pd.DataFrame) -> pd.DataFrame:
    """The rows that the figure is of, with those of its suites that could not be."""
    of_suites = frame[frame["suite"].isin(at_budgets(frame)["suite"])]
    drawn = of_suites["directory"].isin(compared(frame)["directory"])
    return of_suites[drawn | (of_suites["status"] != "finished") | (of_suites["problem"] != "")]


def sentences(frame: pd.DataFrame) -> list[str]:
    """Final training errors by budget, of the shallowest and the deepest networks: a sentence.

    Means over the seeds that a network has finished at every budget (`compared`).
    """
    ended = compared(frame)
    ended = ended[ended["depth"].isin([ended["depth"].min(), ended["depth"].max()])]
    budgets = sorted(ended[BUDGET].unique())
    if (ended.groupby(["network", "seed"])[BUDGET].nunique() < len(budgets)).any():
        return []
    means = ended.pivot_table("precise_train_error", "network", BUDGET, sort=False)[budgets]
    networks = [
        f"{network} " + ", ".join(f"{100 * error:.2f}%" for error in errors)
        for network, *errors in means.itertuples()
    ]
    counts = sorted(set(ended.groupby("network")["seed"].nunique()))
    after = " and ".join(f"{budget:,}" for budget in budgets)
    seeds = "one seed" if counts == [1] else f"{' or '.join(map(str, counts))} seeds"
    return [
        f"Final training error after {after} iterations, over {seeds} that ran at each:"
        f" {'; '.join(networks)}."
    ]


def draw_panel(
    axes: Axes,
    ended: pd.DataFrame,
    setting: str,
    error: str,
    colours: Mapping[int, str],
) -> None:
    """Per cent of `error` against `setting`: a dot a run of `ended`, a line through the means."""
    for depth in select.depths(ended):
        runs = ended[ended["depth"] == depth]
        means = 100 * runs.groupby(setting)[error].mean()
        colour = colours[depth]
        axes.plot(runs[setting], 100 * runs[error], "o", color=colour, ms=4, alpha=0.8, mew=0)
        axes.plot(means.index, means, color=colour, linewidth=1.3)


def mark_values(axes: Axes, values: list[float]) -> None:
    """A logarithmic axis with a tick at each value that was run."""
    axes.set_xscale("log")
    axes.set_xlim(values[0] / 1.25, values[-1] * 1.25)
    axes.xaxis.set_major_locator(FixedLocator(values))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,g}"))


def depth_lines(runs: pd.DataFrame) -> list[Line2D]:
    """What the lines are, for a legend."""
    return [
        Line2D([], [], color=colour, marker="o", label=f"{depth} layers")
        for depth, colour in style.depth_colours(select.depths(runs)).items()
    ]


def varied(runs: pd.DataFrame, setting: str) -> pd.DataFrame:
    """The runs of those networks that have been run at more than one value of `setting`."""
    return runs[runs.groupby(["depth", "shortcut"])[setting].transform("nunique") > 1]


def _networks(runs: pd.DataFrame) -> pd.Series:
    return runs["shortcut"] + " " + runs["depth"].astype(str)


def _of_the_first_suite(runs: pd.DataFrame) -> pd.Series:
    return runs["suite"] == runs["suite"].iloc[0]


def _like_the_first(runs: pd.DataFrame, columns: list[str]) -> pd.DataFrame:
    keep = runs["seed"].notna()
    for column in columns:
        keep &= runs[column] == runs[column].iloc[0]
    return runs[keep]
