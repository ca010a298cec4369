"""The same experiment at several budgets: final errors against the number of iterations."""

from collections.abc import Sequence
from fractions import Fraction

import pandas as pd
from matplotlib.figure import Figure

from analysis.formatting import listed, percent
from analysis.frames import select
from analysis.frames.select import ERRORS
from analysis.plotting import layout, markers, setting_axis, style

# The columns in which one experiment may differ at two budgets, if its drops are at the same
# fractions of the training; how often errors are measured does not affect the training.
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
    """Whether there are finished runs of one experiment at two budgets, the larger the suite's own.

    So one comparison is shown once, and not in each suite that shares the networks.
    """
    if not select.has_own(frame):
        return False
    budgets = select.finished(at_budgets(frame))[BUDGET].unique()
    return len(budgets) > 1 and max(budgets) == select.grid_networks(frame)[BUDGET].iloc[0]


def at_budgets(frame: pd.DataFrame) -> pd.DataFrame:
    """The last records of the first suite's networks that ran at several budgets, at each.

    Two runs of equal network, seed and budget: that of the first suite is kept.
    """
    runs = select.grid_networks(select.finals(frame))
    columns = [column for column in select.recipe_columns(runs) if column not in OF_THE_BUDGET]
    fractions = pd.Series(map(drop_fractions, runs["recipe.drops"], runs[BUDGET]), runs.index)
    same = (runs[columns] == runs[columns].iloc[0]).all(axis="columns")
    runs = runs[same & fractions.map(lambda its: its == fractions.iloc[0])]
    names = runs["shortcut"] + " " + runs["depth"].astype(str)
    in_first_suite = runs["suite"] == runs["suite"].iloc[0]
    runs = select.varied(runs[names.isin(names[in_first_suite])], BUDGET)
    first_suite = runs.groupby(["depth", "shortcut", "seed", BUDGET])["suite"].transform("first")
    return runs[runs["suite"] == first_suite]


def drop_fractions(drops: Sequence[int], iterations: int) -> tuple[Fraction, ...]:
    """The iterations at which the learning rate drops, as exact fractions of the training."""
    return tuple(Fraction(int(drop), int(iterations)) for drop in drops)


def draw_budgets(frame: pd.DataFrame) -> Figure:
    """Errors at the last iteration against the number of iterations: slow, or stuck?

    `frame` as from `load.runs` of several suites; `at_budgets` selects the networks.
    """
    finals = compared(frame)
    colours = style.depth_colours(select.depths(finals))
    label = "iterations in all"
    with style.theme():
        figure, panels = setting_axis.draw(finals, BUDGET, label, ERRORS, colours, (3.6, 3.0))
        style.percent_axis(list(panels.values()), own=True)
        handles = markers.depth_legend(colours, linewidth=1.5, marker="o")
        layout.finish(figure, handles, _shown(frame))
    return figure


def compared(frame: pd.DataFrame) -> pd.DataFrame:
    """One row a finished run of `at_budgets`, at the seeds that finished at every budget.

    Budgets are thus compared over the same seeds; if a suite has no such seed, over all.
    """
    finals = select.finished(at_budgets(frame))
    budgets = finals.groupby(["network", "seed"])[BUDGET].transform("nunique")
    common = finals[budgets == finals[BUDGET].nunique()]
    return finals if common.empty else common


def _shown(frame: pd.DataFrame) -> pd.DataFrame:
    """The rows that the figure shows, and those of its suites that are unfinished or refused."""
    of_suites = frame[frame["suite"].isin(at_budgets(frame)["suite"])]
    drawn = of_suites["directory"].isin(compared(frame)["directory"])
    return of_suites[drawn | (of_suites["status"] != "finished") | (of_suites["problem"] != "")]


def sentences(frame: pd.DataFrame) -> list[str]:
    """Final training errors by budget, of the shallowest and the deepest networks: a sentence.

    Means over the seeds of `compared`; no sentence if those differ from budget to budget.
    """
    finals = compared(frame)
    finals = finals[finals["depth"].isin([finals["depth"].min(), finals["depth"].max()])]
    budgets = sorted(finals[BUDGET].unique())
    if (finals.groupby(["network", "seed"])[BUDGET].nunique() < len(budgets)).any():
        return []
    means = finals.pivot_table("precise_train_error", "network", BUDGET, sort=False)[budgets]
    networks = [
        f"{network} " + ", ".join(f"{percent(error)}%" for error in errors)
        for network, *errors in means.itertuples()
    ]
    counts = sorted(set(finals.groupby("network")["seed"].nunique()))
    after = listed(f"{budget:,}" for budget in budgets)
    seeds = "one seed" if counts == [1] else f"{listed(counts, 'or')} seeds"
    return [
        f"Final training error after {after} iterations, over {seeds} that ran at each:"
        f" {'; '.join(networks)}."
    ]
