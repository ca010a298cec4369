"""The axis of depths, with the shortcuts side by side, that several figures share."""

from dataclasses import dataclass

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.lines import Line2D

from analysis.frames import select
from analysis.plotting import style
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

    @property
    def colours(self) -> dict[int, str]:
        """The colour of each depth."""
        return style.depth_colours(self.depths)

    def prepare(self, axes: Axes) -> None:
        """Ticks, limits and label of the axis; vertical grid lines off."""
        axes.set_xticks(range(len(self.depths)), [str(depth) for depth in self.depths])
        axes.set_xlim(-0.5, len(self.depths) - 0.5)
        axes.set_xlabel("depth (weighted layers)")
        axes.grid(visible=False, axis="x")

    def draw_seeds(self, axes: Axes, points: pd.DataFrame) -> None:
        """A dot for each row of `points` (depth, shortcut, value), in its depth's colour."""
        if points.empty:  # an empty scatter counts as data on the axis
            return
        places = map(self.place, points["depth"], points["shortcut"])
        axes.scatter(
            [place - ASIDE for place in places], points["value"], s=20, alpha=0.8,
            c=[self.colours[depth] for depth in points["depth"]], edgecolor="none", zorder=3,
        )  # fmt: skip

    def draw_means(self, axes: Axes, points: pd.DataFrame, connected: bool = True) -> None:
        """A marker at the mean of each depth and shortcut, with its 95% interval from n = 2 on."""
        for shortcut in select.shortcuts(points):
            of_kind = points[points["shortcut"] == shortcut]
            colour = style.SHORTCUT_GREYS[shortcut]
            means = of_kind.groupby("depth")["value"].mean()
            places = [self.place(int(depth), shortcut) + ASIDE for depth in means.index]
            self._draw_line(axes, places, means.to_list(), shortcut, connected)
            for x, (_, values) in zip(places, of_kind.groupby("depth")["value"], strict=True):
                if len(values) > 1:
                    interval = statistics.t_interval(values.to_numpy(dtype=np.float64))
                    axes.vlines(x, interval.low, interval.high, color=colour, lw=1.3, zorder=2)

    def draw_medians(self, axes: Axes, points: pd.DataFrame, top: float) -> None:
        """A connected marker at the median of each depth and shortcut, at most at `top`.

        Values may be infinite, and with them the median.
        """
        for shortcut in select.shortcuts(points):
            medians = points[points["shortcut"] == shortcut].groupby("depth")["value"].median()
            places = [self.place(int(depth), shortcut) + ASIDE for depth in medians.index]
            shown = medians.clip(upper=top).to_list()
            self._draw_line(axes, places, shown, shortcut, connected=True)

    def _draw_line(
        self, axes: Axes, xs: list[float], ys: list[float], shortcut: str, connected: bool
    ) -> None:
        axes.plot(
            xs, ys, style.MARKERS[shortcut], color=style.SHORTCUT_GREYS[shortcut],
            linestyle="-" if connected else "none", linewidth=1.1, markersize=5.5,
            markerfacecolor=style.PAPER, markeredgewidth=1.3, zorder=4,
        )  # fmt: skip

    def legend(self, connected: bool = True) -> list[Line2D]:
        """Legend entries for the shortcuts' markers and the dot of a seed."""
        handles = [
            Line2D(
                [], [], color=style.SHORTCUT_GREYS[shortcut], marker=style.MARKERS[shortcut],
                linestyle="-" if connected else "none", markerfacecolor=style.PAPER,
                markeredgewidth=1.3, label=style.NAMES[shortcut],
            )
            for shortcut in self.shortcuts
        ]  # fmt: skip
        colour = self.colours[self.depths[0]]
        seed = Line2D([], [], color=colour, marker="o", linestyle="none", ms=4, label="a seed")
        return [*handles, seed]
