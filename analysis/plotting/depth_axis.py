"""The axis of depths, with the shortcuts side by side, that several figures share."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.lines import Line2D

from analysis.frames import select
from analysis.plotting import markers, style
from analysis.verdict import statistics

ASIDE = 0.05  # between a mean's marker and its seeds' dots


@dataclass(frozen=True)
class DepthAxis:
    """Depths in order, evenly spaced (20 to 1202 fit one axis), each shortcut in its own lane."""

    depths: list[int]
    shortcuts: list[str]
    step: float = 0.17  # between shortcuts at one depth, where depths are 1 apart

    @classmethod
    def of(cls, runs: pd.DataFrame, step: float = step) -> "DepthAxis":
        return cls(select.depths(runs), select.shortcuts(runs), step)

    def place(self, depth: int, shortcut: str) -> float:
        """The x of a depth in the lane of a shortcut."""
        lane = self.shortcuts.index(shortcut) - (len(self.shortcuts) - 1) / 2
        return self.depths.index(depth) + self.step * lane

    @property
    def right(self) -> float:
        """The offset from a depth's middle to the lane right of all shortcuts."""
        return self.step * (len(self.shortcuts) + 1) / 2

    def prepare(self, axes: Axes) -> None:
        """Ticks, limits and label of the axis; vertical grid lines off."""
        axes.set_xticks(range(len(self.depths)), [str(depth) for depth in self.depths])
        axes.set_xlim(-0.5, len(self.depths) - 0.5)
        axes.set_xlabel("depth (weighted layers)")
        axes.grid(visible=False, axis="x")

    def draw_seeds(self, axes: Axes, points: pd.DataFrame) -> None:
        """A dot for each row of `points` (depth, shortcut, value), in its shortcut's colour."""
        if points.empty:  # an empty scatter counts as data on the axis
            return
        places = map(self.place, points["depth"], points["shortcut"])
        axes.scatter(
            [place - ASIDE for place in places], points["value"], s=20, alpha=0.6,
            c=points["shortcut"].map(style.SHORTCUT_COLOURS), edgecolor="none", zorder=3,
        )  # fmt: skip

    def draw_means(self, axes: Axes, points: pd.DataFrame, connected: bool = True) -> None:
        """A marker at the mean of each depth and shortcut, with its 95% interval.

        The interval is drawn from n = 4 on: of fewer seeds the dots say more.
        """
        for shortcut in select.shortcuts(points):
            by_depth = points[points["shortcut"] == shortcut].groupby("depth")["value"]
            places = self.draw_line(axes, by_depth.mean(), shortcut, connected)
            for x, (_, values) in zip(places, by_depth, strict=True):
                if len(values) > 3:
                    interval = statistics.t_interval(values.to_numpy(dtype=np.float64))
                    colour = style.SHORTCUT_COLOURS[shortcut]
                    axes.vlines(x, interval.low, interval.high, color=colour, lw=1.3, zorder=2)

    def draw_line(
        self, axes: Axes, values: pd.Series, shortcut: str, connected: bool = True
    ) -> list[float]:
        """A marker at each of `values`, whose index is the depth; returns their places."""
        places = [self.place(int(depth), shortcut) + ASIDE for depth in values.index]
        axes.plot(places, values, linewidth=1.1, ms=5.5, zorder=4, **_look(shortcut, connected))
        return places

    def draw(self, axes: Axes, points: pd.DataFrame, connected: bool = True) -> None:
        """`prepare`, and the seeds and means of `points`."""
        self.draw_seeds(axes, points)
        self.draw_means(axes, points, connected)
        self.prepare(axes)

    def draw_diverged(self, axes: Axes, diverged: pd.DataFrame, aside: float = 0.0) -> None:
        """A cross on the upper edge for each row; call it when the limits are set."""
        places = map(self.place, diverged["depth"], diverged["shortcut"])
        at = diverged.assign(place=[place + aside for place in places])
        markers.crosses_on_edge(axes, at, "place", style.SHORTCUT_COLOURS, "shortcut")

    def legend(self, connected: bool = True) -> list[Line2D]:
        """Legend entries for the shortcuts' markers and the dot of a seed."""
        return [
            *(Line2D([], [], label=style.NAMES[shortcut], **_look(shortcut, connected))
              for shortcut in self.shortcuts),
            markers.entry("a seed", style.MUTED, marker="o", linestyle="none", ms=4),
        ]  # fmt: skip


def _look(shortcut: str, connected: bool) -> dict[str, Any]:
    """The look of a shortcut's means."""
    return {
        "color": style.SHORTCUT_COLOURS[shortcut],
        "marker": style.MARKERS[shortcut],
        "linestyle": "-" if connected else "none",
        "markerfacecolor": style.PAPER,
        "markeredgewidth": 1.3,
    }
