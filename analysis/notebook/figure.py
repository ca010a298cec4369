"""Runs that may still be training, as a figure: losses beside errors, by iteration."""

import math
from collections.abc import Iterable, Sequence
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.typing import LineStyleType

from analysis.figures import curves, figure6
from analysis.notebook.runs import LiveRun, Scene
from analysis.plotting import layout, style
from resnet_bench.datasets.definitions import DATASETS

ERRORS = figure6.LINES
LOSSES = {error.replace("_error", "_loss"): look for error, look in ERRORS.items()}
FEW_RECORDS = 8  # up to so many, each is a dot, too: one record alone makes no line


def draw(scene: Scene) -> Figure:
    """Running training loss and test loss, beside them the errors; above, how far the runs are.

    A row of panels for each kind of shortcut, a colour a depth, a line a run; a cross is where
    one diverged. Experiments with names of their own, and changed settings, have a row for each
    data set and length, and a colour each.
    """
    rows = _rows(scene.runs)
    colours = _colours(scene.runs)
    with style.theme():
        figure, panels = layout.panels(2 * len(rows), 2, 4.4, 3.3)
        for row, (title, runs) in enumerate(rows.items()):
            iterations = max(run.iterations for run in runs)
            unit, label = style.iteration_unit(iterations)
            losses, errors = panels[2 * row : 2 * row + 2]
            for run in runs:
                look = {
                    "color": colours[_label(run)],
                    "linewidth": 1.0 if run.ended and len(scene.runs) > 1 else 1.6,
                }
                _draw_run(losses, run, LOSSES, 1, unit, look)
                _draw_run(errors, run, ERRORS, 100, unit, look)
            for axes in (losses, errors):
                for drop in {drop for run in runs for drop in run.drops}:
                    axes.axvline(drop / unit, color=style.MUTED, lw=0.9, linestyle=":", zorder=1)
                axes.set(title=title if len(rows) > 1 else "", xlabel=label)
                axes.set_xlim(0, iterations / unit)
            losses.set(ylabel="loss", ylim=(0, _loss_top(runs)))
            errors.set(ylabel="error", ylim=(0, 105 * (_highest(runs, ERRORS) or 0.01)))
        style.percent_axis(panels[1::2])
        above = _above_the_axis(list(rows.values()))
        layout.finish(figure, _legend(scene.runs, colours), above, scene.in_words())
    return figure


def _rows(runs: Sequence[LiveRun]) -> dict[str, list[LiveRun]]:
    """The runs of each row of panels, by the row's title: figure 6's kinds first."""
    rows: dict[str, list[LiveRun]] = {title: [] for title in style.NAMES.values()}
    for run in runs:
        title = f"{run.dataset}, {run.iterations:,} iterations"
        rows.setdefault(title if run.named else style.NAMES[run.shortcut], []).append(run)
    return {title: of_row for title, of_row in rows.items() if of_row}


def _label(run: LiveRun) -> str:
    return run.network if run.named else f"{run.depth} layers"


def _colours(runs: Sequence[LiveRun]) -> dict[str, str]:
    """The colour of each label, in the legend's order."""
    own = sorted({run.depth for run in runs if not run.named})
    colours = {f"{depth} layers": colour for depth, colour in style.depth_colours(own).items()}
    names = dict.fromkeys(run.network for run in runs if run.named)
    return colours | {
        name: curves.COLOURS[place % len(curves.COLOURS)] for place, name in enumerate(names)
    }


def _draw_run(
    axes: Axes,
    run: LiveRun,
    lines: dict[str, LineStyleType],
    scale: int,
    unit: int,
    look: dict[str, Any],
) -> None:
    """A line for each column of `lines`; where the run diverged, a cross on a line of its own."""
    places = [record.iteration / unit for record in run.records]
    for column, line in lines.items():
        values = [scale * getattr(record, column) for record in run.records]
        (curve,) = axes.plot(places, values, linestyle=line, **look)
        if len(places) <= FEW_RECORDS:
            inside = style.PAPER if column.startswith("train") else look["color"]
            curve.set(marker="o", markersize=4, markerfacecolor=inside)
    if run.status == "diverged" and run.ended_at is not None:
        place = run.ended_at / unit
        axes.axvline(place, color=look["color"], linewidth=0.8)
        axes.plot(
            place, 0.95, "X", color=look["color"], markersize=8, markeredgecolor=style.PAPER,
            zorder=5, transform=axes.get_xaxis_transform(),
        )  # fmt: skip


def _highest(runs: Iterable[LiveRun], columns: Iterable[str]) -> float:
    """The largest finite value in `columns`; 0 if there is none."""
    values = (
        getattr(record, column) for run in runs for record in run.records for column in columns
    )
    return max(filter(math.isfinite, values), default=0.0)


def _loss_top(runs: Sequence[LiveRun]) -> float:
    """Where the axis of losses ends: at twice the loss of guessing, or below that.

    Early test losses can be millions, while batch norm's statistics lag behind the weights.
    """
    guessing = math.log(DATASETS[runs[0].dataset].classes)
    return min(1.05 * _highest(runs, LOSSES) or guessing, 2 * guessing)


def _above_the_axis(rows: Sequence[Sequence[LiveRun]]) -> list[str]:
    """A sentence on the losses that leave the axes, for each kind of them."""
    sentences = []
    for column, words in {"train_loss": "Training", "test_loss": "Test"}.items():
        highest = [(_highest(runs, [column]), _loss_top(runs)) for runs in rows]
        left = [loss for loss, top in highest if loss > top]
        if left:
            sentences.append(f"{words} losses of up to {max(left):,.3g} are above the axis.")
    return sentences


def _legend(runs: Sequence[LiveRun], colours: dict[str, str]) -> list[Line2D]:
    ink = style.INK
    handles = [
        Line2D([], [], color=colour, linewidth=2.2, label=label)
        for label, colour in colours.items()
        if len(runs) > 1
    ]
    for error, words in {"train_error": "training (running)", "test_error": "test"}.items():
        handles.append(Line2D([], [], color=ink, lw=1.3, linestyle=ERRORS[error], label=words))
    if any(run.drops for run in runs):
        words = "learning rate drops"
        handles.append(Line2D([], [], color=style.MUTED, linewidth=0.9, linestyle=":", label=words))
    if any(run.status == "diverged" for run in runs):
        handles.append(Line2D([], [], color=ink, marker="X", linestyle="", label="diverged"))
    return handles
