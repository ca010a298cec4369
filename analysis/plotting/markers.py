"""Crosses of diverged runs, and the legend entries that several figures share."""

from collections.abc import Mapping

from matplotlib.axes import Axes
from matplotlib.lines import Line2D

from analysis.plotting import style


def diverged_cross(axes: Axes, x: float, y: float | None, colour: str) -> None:
    """A cross where a run diverged, in data coordinates; without `y` on the upper edge.

    On the edge it is for axes without iterations: a diverged run has no final error. Draw it when
    the axis' limits are set.
    """
    axes.plot(
        x, axes.get_ylim()[1] if y is None else y, "X", color=colour, markersize=9,
        markeredgecolor=style.PAPER, clip_on=False, zorder=6,
    )  # fmt: skip


def diverged_legend(colour: str) -> Line2D:
    """The legend entry of `diverged_cross`."""
    return Line2D([], [], color=colour, marker="X", linestyle="none", label="diverged")


def line_legend(
    colours: Mapping[str, str], linewidth: float = 2.2, marker: str = ""
) -> list[Line2D]:
    """A legend entry for each label of `colours`, in its colour."""
    look = {"linewidth": linewidth, "marker": marker}
    return [
        Line2D([], [], color=colour, label=label, **look)  # type: ignore[arg-type]
        for label, colour in colours.items()
    ]


def depth_legend(
    colours: Mapping[int, str], linewidth: float = 2.2, marker: str = ""
) -> list[Line2D]:
    """A legend entry for each depth of `colours`: "56 layers"."""
    labels = {f"{depth} layers": colour for depth, colour in colours.items()}
    return line_legend(labels, linewidth, marker)
