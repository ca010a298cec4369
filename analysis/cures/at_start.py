"""The state of each network at initialisation against its final error."""

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, NullLocator

from analysis.frames import select
from analysis.frames.layers import Layers, at_start, convolutions, layers, summaries
from analysis.plotting import layout, style
from analysis.plotting.figure_spec import FigureSpec
from analysis.verdict import contrasts
from resnet_bench.records.layers import INPUT

STATES = {
    "growth": "growth of gradients by layer, towards the input",
    "correlation": "correlation of gradients at neighbouring images",
    "rank": "effective rank of the last convolution's responses",
}
LOOKS = {"plain": ("plain", "#d55e00", "o"), "resnet": ("residual", "#0072b2", "s")}


def applies(data: Layers) -> bool:
    """Whether cured networks were measured at initialisation, and have ended."""
    return bool((data.runs["cures"] != "").any()) and not states(data).empty


def states(data: Layers) -> pd.DataFrame:
    """One row a network: its states at initialisation and its final training error, seeds' means.

    Columns network, family, depth, growth, correlation, rank, error (a fraction).
    """
    start = at_start(layers(data.runs))
    finals = select.finished(select.declared(data.runs)).set_index(["network", "seed"])
    keys = ["network", "seed"]
    if start.empty or finals.empty:
        return pd.DataFrame(columns=["network", *STATES])
    table = pd.DataFrame(
        {
            "growth": summaries(start).set_index(keys)["growth"].astype(float),
            "correlation": start[start["kind"] == INPUT].set_index(keys)["gradient_correlation"],
            "rank": convolutions(start).groupby(keys)["response_rank"].last(),
            "error": finals[contrasts.ENDPOINT],
            "depth": finals["depth"],
        }
    ).dropna(subset=["error"])
    means = table.groupby("network").mean()
    means["family"] = finals.groupby("network")["family"].first()
    return means.reset_index()


def draw(data: Layers) -> Figure:
    """Final training error against each state at initialisation: a marker a network.

    Markers grow with depth. The deepest networks are filled and have their names beside them.
    """
    table = states(data)
    depths = sorted(table["depth"].unique())
    deepest = depths[-1]
    with style.theme():
        figure, panels = layout.panels(len(STATES), 5.2, 5.0)
        for axes, (state, label) in zip(panels, STATES.items(), strict=True):
            for (family, depth), alike in table.groupby(["family", "depth"]):
                name, colour, marker = LOOKS[str(family)]
                axes.plot(
                    alike[state], 100 * alike["error"], marker, color=colour,
                    markersize=3.5 + 1.5 * depths.index(depth),
                    markerfacecolor=colour if depth == deepest else style.PAPER,
                    label=f"{name}, {depth:.0f} layers",
                )  # fmt: skip
            axes.set(xlabel=label, yscale="log")
            axes.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
            axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}%"))
            axes.yaxis.set_minor_locator(NullLocator())
            left, right = axes.get_xlim()
            axes.set_xlim(left, right + 0.3 * (right - left))  # room for the labels
        panels[0].set_ylabel("training error at the last iteration")
        layout.finish(figure, list(panels[0].lines), data.runs)
        for axes, state in zip(panels, STATES, strict=True):
            _label(axes, table[table[state].notna() & (table["depth"] == deepest)], state)
    return figure


def _label(axes: Axes, table: pd.DataFrame, state: str) -> None:
    """Write each network's name beside its marker, moved up where it would cover another's."""
    size, height, table = 6, 8, table.sort_values("error")
    markers = list(zip(table[state], 100 * table["error"], strict=True))
    places = axes.transData.transform(markers) * 72 / axes.figure.dpi
    taken: list[tuple[float, float, float]] = []  # left, right and foot, in points
    for name, marker, (x, y) in zip(table["network"], markers, places, strict=True):
        left, right, foot = x + 4, x + 4 + 0.6 * size * len(name), y + 2
        while any(
            left < end and start < right and abs(foot - other) < height
            for start, end, other in taken
        ):
            foot += 1
        taken.append((left, right, foot))
        axes.annotate(
            name, marker, fontsize=size, xytext=(4, foot - y), textcoords="offset points",
            color=style.MUTED,
        )  # fmt: skip


def sentences(data: Layers) -> list[str]:
    """How well the rank of each state goes with that of the final error: Spearman's correlation.

    Of four networks and fewer no correlation would be significant: nothing is said.
    """
    table = states(data)
    found = []
    for state, label in STATES.items():
        pairs = table[[state, "error"]].dropna()
        if len(pairs) > 4 and pairs[state].nunique() > 1:
            correlation = pairs[state].corr(pairs["error"], method="spearman")
            found.append(f"{label} {correlation:+.2f} ({len(pairs)} networks)")
    if not found:
        return []
    return [f"Spearman's correlation with the final training error: {'; '.join(found)}."]


SPEC = FigureSpec(
    "cures-at-start",
    "The state at initialisation",
    "Each network's state before the first step against its final training error, means over"
    " seeds; the deepest are named. Growth of gradients: a factor a layer. Correlation:"
    " of those at an image and its neighbour. Rank: 1 if all images look alike at the end.",
    draw,
    applies,
    data="layers",
    sentences=sentences,
)
