"""Figure 7 of the paper, redrawn: the responses of the 3x3 layers, in order and sorted.

Batch norm makes them 1 at initialisation, and a short training moves them little: drawn is by how
much they differ from 1.
"""

import pandas as pd
from matplotlib.figure import Figure
from matplotlib.typing import LineStyleType

from analysis.fidelity import paper
from analysis.frames import layers, select
from analysis.frames.layers import Layers
from analysis.plotting import layout, markers, style

LOOKS: dict[str, LineStyleType] = {"plain": (0, (3.0, 1.5)), "resnet": "-"}


def responses(table: pd.DataFrame) -> pd.DataFrame:
    """The 3x3 layers at the last measured iteration, of plain networks and of option A.

    `table` as from `load.layers`. Further columns: moved, the difference of its deviation from 1,
    without sign; rank, 1 is a run's most moved response. Plain networks of 110 layers and more are
    left out, as in the paper: they do not train, and their responses would dominate the axis.
    """
    rows = layers.at_end(table)
    rows = rows[(rows["kind"] == "conv3x3") & rows["shortcut"].isin(["none", "A"])]
    rows = rows[(rows["family"] != "plain") | (rows["depth"] < paper.WARMUP_DEPTH)]
    rows = rows.assign(moved=(rows["response_deviation"] - 1).abs())
    rank = rows.groupby(layers.RUN)["moved"].rank(method="first", ascending=False)
    return rows.assign(rank=rank.astype(int))


def applies(data: Layers) -> bool:
    """Whether any finished run was measured after initialisation."""
    return not responses(data.table).empty


def draw(data: Layers) -> Figure:
    """How far each 3x3 layer's deviation has moved from 1: left in the layers' order, right sorted.

    Each seed is sorted separately. Dashed: plain; solid: residual; a colour is a depth.
    """
    table = responses(data.table)
    colours = style.depth_colours(select.depths(table))
    labels = {"layer": "layer", "rank": "layer, sorted by the difference"}
    handles = []
    with style.theme():
        figure, panels = layout.panels(2, 5.4, 3.6)
        for _, of_network in table.groupby(["family", "depth"]):
            first = of_network.iloc[0]
            colour, look = colours[first["depth"]], LOOKS[first["family"]]
            handles.append(markers.entry(first["network"], colour, lw=1.8, ls=look))
            for axes, by in zip(panels, labels, strict=True):
                band = layers.over_seeds(of_network, "moved", by)
                style.draw_band(axes, band, colour, look)
        for axes, (by, label) in zip(panels, labels.items(), strict=True):
            axes.set(
                xlabel=label,
                ylabel="deviation of the response, from 1",
                xlim=(0, None),
                yscale="log",
            )
            axes.set_title("in order" if by == "layer" else "sorted")
        panels[1].set_ylim(panels[0].get_ylim())
        layout.finish(figure, handles, data.runs)
    return figure


def sentences(data: Layers) -> list[str]:
    """The size of the responses: in the paper smaller in residual networks, and in deeper ones."""
    table = responses(data.table)
    parts = []
    for network, of_network in table.groupby("network", sort=False):
        sizes = layers.over_seeds(of_network, "response_deviation")["median"]
        parts.append(f"{network} {sizes.median():.2f} ({sizes.min():.2f} to {sizes.max():.2f})")
    iteration = table["iteration"].max()
    return [
        f"Responses of 3x3 layers after {iteration:,} iterations, median layer (lowest to highest):"
        f" {', '.join(parts)}. At initialisation batch norm makes them 1."
    ]
