"""Errors and losses by iteration, of any runs: named experiments, and runs in training."""

import itertools
import math
from collections.abc import Sequence

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from analysis.figures import figure6
from analysis.frames import notices, select
from analysis.plotting import layout, markers, style
from analysis.verdict import finding
from resnet_bench.datasets.definitions import DATASETS

LOSSES = {error.replace("_error", "_loss"): look for error, look in figure6.LINES.items()}
NAMES = {"train_error": "training (running)", "test_error": "test"}
# Okabe and Ito's colours again, here one an experiment.
COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#7a7ad6", "#8c6d1f")


def applies(frame: pd.DataFrame) -> bool:
    """Whether the suite is made of named experiments alone, and any has a record."""
    return not select.has_own(frame) and not select.curves(select.declared(frame)).empty


def draw(frame: pd.DataFrame) -> Figure:
    """The curves of the runs that a suite file declares; `frame` as from `load.runs`."""
    return draw_runs(select.declared(frame), notices.of_runs(frame), [finding.budget(frame)])


def draw_runs(runs: pd.DataFrame, notes: list[str], heading: Sequence[str]) -> Figure:
    """Errors, and beside them losses, by iteration: a row of two panels a group.

    `runs` are rows as from `load.runs`; a group has one data set, recipe and kind of shortcut. A
    colour is a depth, or a named experiment; the lines are those of
    `figure6.draw_records`, of losses without bands: a single test loss can be millions. `notes`
    are written below the panels, `heading` above.
    """
    runs = runs.assign(kind=runs["shortcut"].where(~_is_named(runs), ""), label=_labels(runs))
    keys = [*select.recipe_columns(runs), "kind"]
    alike = [group for _, group in runs.groupby(keys, sort=False, dropna=False)]
    alike.sort(key=lambda group: group["kind"].iloc[0] == "")  # named experiments below
    colours = _colours(runs)
    with style.theme():
        figure, panels = layout.panels(2 * len(alike), 4.4, 3.3, columns=2)
        rows = zip(alike, _titles(alike), panels[::2], panels[1::2], strict=True)
        for group, title, errors, losses in rows:
            figure6.draw_records(errors, group, figure6.LINES, colours, 100)
            figure6.draw_records(losses, group, LOSSES, colours, 1, bands=False)
            errors.set(title=title, ylabel="error")
            style.percent_axis([errors])
            losses.set(title=title, ylabel="loss", ylim=(0, _loss_top(group)))
            unit, _ = style.iteration_unit(int(group["recipe.iterations"].max()))
            ends = select.diverged(group.assign(x=group["ended_at"] / unit))
            for axes in (errors, losses):
                markers.crosses_on_edge(axes, ends, "x", colours, "label")
        handles = figure6.legend(runs, colours, NAMES) + markers.diverged_entries(runs)
        layout.write_around(figure, handles, _above_the_axis(alike) + notes, heading)
    return figure


def _is_named(runs: pd.DataFrame) -> pd.Series:
    """Whether depth and shortcut do not name a run's network: a variant, or a changed setting."""
    return (runs["variant"] != "") | (runs["changed"] != "")


def _labels(runs: pd.DataFrame) -> pd.Series:
    return runs["network"].where(_is_named(runs), runs["depth"].astype(str) + " layers")


def _colours(runs: pd.DataFrame) -> dict[str, str]:
    """The colour of each label, in the legend's order: depths first."""
    named = _is_named(runs)
    depths = style.depth_colours(select.depths(runs[~named]))
    free = [colour for colour in COLOURS if colour not in depths.values()] or COLOURS
    names = dict.fromkeys(runs.loc[named, "network"])
    return {f"{depth} layers": colour for depth, colour in depths.items()} | dict(
        zip(names, itertools.cycle(free), strict=False)
    )


def _titles(alike: list[pd.DataFrame]) -> list[str]:
    """Data set and iterations of each group; where they agree, what else of its recipe differs."""
    firsts = [group.iloc[0] for group in alike]
    titles = [
        f"{style.NAMES[run['kind']] + ': ' if run['kind'] else ''}{run['dataset']},"
        f" {run['recipe.iterations']:,} iterations"
        for run in firsts
    ]
    columns = select.recipe_columns(alike[0])
    distinct = []
    for title, run in zip(titles, firsts, strict=True):
        same = [other for other, its in zip(firsts, titles, strict=True) if its == title]
        differing = [column for column in columns if any(run[column] != o[column] for o in same)]
        words = [f"{column.partition('.')[2]}: {run[column]}" for column in differing[:2]]
        distinct.append("\n".join([title, ", ".join(words)]) if words else title)
    return distinct


def _loss_top(group: pd.DataFrame) -> float:
    """The upper end of the axis of losses: at most twice the loss of guessing.

    Early test losses can be millions, while batch norm's statistics lag behind the weights.
    """
    guessing = math.log(DATASETS[group["dataset"].iloc[0]].classes)
    return min(1.05 * _highest(group, list(LOSSES)) or guessing, 2 * guessing)


def _highest(group: pd.DataFrame, columns: list[str]) -> float:
    """The largest finite value in `columns`; 0 if there is none."""
    values = group[columns].to_numpy(dtype=np.float64)
    return float(values.max(initial=0, where=np.isfinite(values)))


def _above_the_axis(alike: list[pd.DataFrame]) -> list[str]:
    """A sentence on the losses above the axes, for each kind of them."""
    sentences = []
    for column, words in {"train_loss": "Training", "test_loss": "Test"}.items():
        tops = [(_highest(group, [column]), _loss_top(group)) for group in alike]
        if above := [highest for highest, top in tops if highest > top]:
            sentences.append(f"{words} losses of up to {max(above):,.3g} are above the axis.")
    return sentences
