"""Our errors beside the paper's: figure 6 as a plate, and table 6 as a plot."""

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from analysis.fidelity import deviations, paper
from analysis.figures import figure6
from analysis.frames import select
from analysis.plotting import layout, markers, style
from analysis.plotting.depth_axis import ASIDE, DepthAxis
from analysis.plotting.figure_spec import FigureSpec

KINDS = ("none", "A")  # what figure 6 has
PAPER_DROPS = (32_000, 48_000)


def applies(frame: pd.DataFrame) -> bool:
    """Whether the paper has these networks on this data set, whatever the length of training."""
    runs = select.grid_networks(frame)
    kinds, datasets = (set(runs[column].unique()) for column in ("shortcut", "dataset"))
    return set(KINDS) <= kinds and datasets == {paper.DATASET}


def draw_plate(frame: pd.DataFrame) -> Figure:
    """Figure 6: left what the paper says of its curves' ends, right our curves.

    `frame` as from `load.runs`. Our axis is the paper's where the recipe is.
    """
    runs = select.over_last_epoch(select.grid_networks(frame))
    runs = runs.assign(label=runs["depth"].astype(str) + " layers")
    theirs = {depth for (kind, depth), its in paper.REFERENCES.items() if its.test_error}
    colours = style.depth_colours(sorted({*theirs, *runs["depth"]} - {1202}))
    labels = {f"{depth} layers": colour for depth, colour in colours.items()}
    top, iterations = figure6.axis_top(runs), int(runs["recipe.iterations"].max())
    with style.theme():
        figure, panels = layout.panels(2 * len(KINDS), 5.0, 3.9, columns=2)
        for kind, left, right in zip(KINDS, panels[::2], panels[1::2], strict=True):
            _draw_ends(left, kind, colours)
            left.set(title=f"the paper: {style.NAMES[kind]}", ylabel="error")
            of_kind = runs[runs["shortcut"] == kind]
            figure6.draw_records(right, of_kind, figure6.LINES, labels, 100)
            right.set(title=f"ours, {iterations:,} iterations: {style.NAMES[kind]}", ylabel="error")
        style.percent_axis(panels[::2], style.PAPER_TOP)
        style.percent_axis(panels[1::2], top)
        handles = figure6.legend(runs, labels, figure6.NAMES)
        layout.finish(figure, handles, frame, figure6.above_axis_notes(runs, top))
    return figure


def _draw_ends(axes: Axes, kind: str, colours: dict[int, str]) -> None:
    """The paper's last errors, from its last drop on, where its curves are flat."""
    end, drop = paper.ITERATIONS / 1000, PAPER_DROPS[-1] / 1000
    for depth, colour in colours.items():
        reference = paper.REFERENCES.get((kind, depth))
        for error, look in (("train_error", figure6.DASHED), ("test_error", "-")):
            value = getattr(reference, error, None)
            if value is not None:
                axes.plot([drop, end], [100 * value] * 2, color=colour, linestyle=look, lw=1.8)
    for its in PAPER_DROPS:
        axes.axvline(its / 1000, color=style.MUTED, linewidth=0.9, linestyle=":", zorder=1)
    axes.set(xlabel="iteration (thousands)", xlim=(0, end))


def draw_table6(frame: pd.DataFrame) -> Figure:
    """Test errors against depth: the paper's, open, beside our means with 95% intervals."""
    runs = select.grid_networks(frame)
    runs = runs[runs["shortcut"].isin(KINDS)]
    axis = DepthAxis.of(runs, step=0.3)
    finals = select.finished(runs)
    with style.theme():
        figure, (axes,) = layout.panels(1, 6.4, 4.2)
        axis.draw(axes, finals.assign(value=100 * finals["test_error"]))
        for (kind, depth), reference in paper.REFERENCES.items():
            if reference.test_error is not None and depth in axis.depths:
                axes.plot(
                    axis.place(depth, kind) + 3 * ASIDE, 100 * reference.test_error, "*", ms=11,
                    color=style.SHORTCUT_COLOURS[kind], markerfacecolor=style.PAPER, zorder=5,
                )  # fmt: skip
        axes.set_ylabel("test error at the last iteration")
        style.percent_axis([axes])
        axis.draw_diverged(axes, select.diverged(runs))
        star = markers.entry("the paper's", style.MUTED, marker="*", ls="none", ms=11, mfc="none")
        handles = [*axis.legend(), star, *markers.diverged_entries(runs, style.MUTED)]
        layout.finish(figure, handles, frame, _not_comparable(runs))
    return figure


def _not_comparable(runs: pd.DataFrame) -> list[str]:
    """What makes our errors others than the paper's, if anything does."""
    if any(deviations.compares(of_network) for _, of_network in runs.groupby("network")):
        return []
    lengths = " and ".join(f"{its:,}" for its in np.unique(runs["recipe.iterations"]))
    return [
        f"Another recipe than the paper's: {lengths} iterations, the paper's {paper.ITERATIONS:,};"
        " compare plain with residual, not ours with the paper's."
    ]


PLATE = FigureSpec(
    "figure-6-beside-the-paper",
    "Figure 6: the paper's and ours",
    "Left the errors that the paper gives, after its last drop: test errors of residual networks"
    " from table 6, all others read off figure 6 (training error only of plain networks). The"
    " paper prints its curves as a picture, which is not repeated here. Right our runs as in"
    " figure 6, on the paper's axis if the recipe is the paper's, else on their own.",
    draw_plate,
    lambda frame: select.has_own(frame) and applies(frame),
)
TABLE6 = FigureSpec(
    "table-6",
    "Table 6 as a plot",
    "Test error at the last iteration. Stars are the paper's: of residual networks from table 6,"
    " of plain ones read off figure 6. Dots are our seeds, markers their means with Student's 95%"
    " interval.",
    draw_table6,
    lambda frame: select.has_own(frame) and applies(frame),
    data="finals",
)
