"""Nested function classes: what deeper networks can compute, and what SGD finds in them."""

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from analysis.formatting import percent
from analysis.frames import select
from analysis.frames.witnesses import Witnesses
from analysis.plotting import layout, markers, style
from analysis.plotting.depth_axis import DepthAxis
from analysis.plotting.figure_spec import FigureSpec
from analysis.verdict import contrasts


def witnesses(data: Witnesses) -> pd.DataFrame:
    """One row a deeper witness of a grid network: depth, source_depth, shortcut, witness_error."""
    runs = select.finished(select.grid_networks(data.runs)).drop_duplicates("network")
    kinds = runs.set_index("network")["shortcut"]
    points = data.points[data.points["source"] != data.points["deep"]]
    return points.assign(shortcut=points["deep"].map(kinds)).dropna(subset=["shortcut"])


def applies(data: Witnesses) -> bool:
    """Whether there is a witness beside a finished run of SGD's of the same depth."""
    return select.has_own(data.runs) and not witnesses(data).empty


def draw(data: Witnesses) -> Figure:
    """Training error against depth, a panel a family: what SGD finds, and the witness below it."""
    stars = witnesses(data)
    finals = select.finished(select.grid_networks(data.runs))
    kinds = select.shortcuts(stars)
    with style.theme():
        figure, panels = layout.panels(len(kinds), 4.8, 3.8)
        for axes, kind in zip(panels, kinds, strict=True):
            of_kind = finals[finals["shortcut"] == kind]
            axis = DepthAxis.of(of_kind)
            axis.draw(axes, of_kind.assign(value=100 * of_kind[contrasts.ENDPOINT]))
            _draw_witness(axes, axis, stars[stars["shortcut"] == kind])
            axes.set(title=style.NAMES[kind], ylabel="training error at the last iteration")
        style.log_percent_axis(panels)
        handles = DepthAxis.of(finals[finals["shortcut"].isin(kinds)]).legend()
        label = "the shallow network's function in the deep class: the witness"
        handles.append(markers.entry(label, marker="*", ls=":", ms=12))
        layout.finish(figure, handles, data.runs)
    return figure


def _draw_witness(axes: Axes, axis: DepthAxis, stars: pd.DataFrame) -> None:
    """A star at the witness's error, and a dotted line to it from its source's."""
    for _, of_pair in stars.groupby(["source_depth", "depth"]):
        first = of_pair.iloc[0]
        x = [axis.place(first[of], first["shortcut"]) for of in ("source_depth", "depth")]
        errors = 100 * of_pair[["source_error", "witness_error"]].median()
        axes.plot(x, errors, ":", color=style.INK, lw=1.2, zorder=5)
        axes.plot(x[1], errors.iloc[1], "*", color=style.INK, ms=13, mec=style.PAPER, zorder=7)


def sentences(data: Witnesses) -> list[str]:
    """What is there in the deep class, and what SGD finds: a sentence a family."""
    finals = select.finished(select.grid_networks(data.runs))
    found = []
    for kind, of_kind in witnesses(data).groupby("shortcut", sort=False):
        deep, source = of_kind["deep"].iloc[0], of_kind["source"].iloc[0]
        by_sgd = finals.loc[finals["network"] == deep, contrasts.ENDPOINT].mean()
        found.append(
            f"The networks of {of_kind['depth'].iloc[0]} layers ({style.NAMES[str(kind)]}) contain"
            f" the function of {source}, with {percent(of_kind['witness_error'].median())}%"
            f" training error; SGD's {deep} has {percent(by_sgd)}% (mean over seeds)."
        )
    return found


SPEC = FigureSpec(
    "nested",
    "Nested function classes, and what SGD finds in them",
    "Every deeper class contains the shallower one: the star is the trained shallow network with"
    " identity blocks appended, a deep network of the same function, so that the best training"
    " error of a class never rises with depth. What SGD finds does, in plain networks. Dots are"
    " seeds, markers their means with Student's 95% interval; the axis is linear up to 1% and"
    " logarithmic above.",
    draw,
    applies,
    data="witnesses",
    sentences=sentences,
)
