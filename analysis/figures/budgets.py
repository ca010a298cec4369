"""Final error against a setting: panels that budgets and learning rates share; the budgets."""

from collections.abc import Sequence
from fractions import Fraction

import pandas as pd
from matplotlib.figure import Figure

from analysis.frames import notices, select
from analysis.frames.select import ERRORS, varied
from analysis.plotting import layout, style
from analysis.plotting.setting_axis import depth_lines, draw_panel, mark_values

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


def has_budgets(frame: pd.DataFrame) -> bool:
    """Whether there are finished runs of one experiment at two budgets."""
    if not select.has_own(frame):
        return False
    return len(select.finished(at_budgets(frame))[BUDGET].unique()) > 1


def at_budgets(frame: pd.DataFrame) -> pd.DataFrame:
    """The first suite's networks and those like them but for the budget, where there are any.

    Where two suites ran a network with one seed and budget, the first one's run is kept.
    """
    runs = select.grid_networks(frame)
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


def draw_budgets(frame: pd.DataFrame) -> Figure:
    """Errors at the last iteration against the number of iterations: slow, or stuck?

    `frame` as from `load.runs` of several suites; see `at_budgets` for those compared. A line a
    depth, a dot a seed.
    """
    ended = compared(frame)
    kinds = select.shortcuts(ended)
    colours = style.depth_colours(select.depths(ended))
    with style.theme():
        rows = [(error, shortcut) for error in ERRORS for shortcut in kinds]
        figure, panels = layout.panels(len(rows), 3.6, 3.0, len(kinds))
        for axes, (error, shortcut) in zip(panels, rows, strict=True):
            draw_panel(axes, ended[ended["shortcut"] == shortcut], BUDGET, error, colours)
            axes.set_title(f"{style.NAMES[shortcut]}: {ERRORS[error]}")
            axes.set(xlabel="iterations in all", ylabel="error")
            mark_values(axes, sorted(ended[BUDGET].unique()))
        style.percent_axis(panels)
        layout.finish(figure, depth_lines(ended), notices.notices(_shown(frame)))
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


def _networks(runs: pd.DataFrame) -> pd.Series:
    return runs["shortcut"] + " " + runs["depth"].astype(str)


def _of_the_first_suite(runs: pd.DataFrame) -> pd.Series:
    return runs["suite"] == runs["suite"].iloc[0]


def _like_the_first(runs: pd.DataFrame, columns: list[str]) -> pd.DataFrame:
    keep = runs["seed"].notna()
    for column in columns:
        keep &= runs[column] == runs[column].iloc[0]
    return runs[keep]
