"""Shattered gradients: the correlation of the gradients at neighbouring images.

Balduzzi et al. 2017 (arXiv 1702.08591): in plain networks the correlation of the gradients at
neighbouring inputs decays exponentially with depth, in residual ones much more slowly.
"""

import pandas as pd
from matplotlib.figure import Figure

from analysis.frames import layers, select
from analysis.frames.layers import Layers
from analysis.plotting import layout, markers, style
from analysis.plotting.depth_axis import DepthAxis
from resnet_bench.records.layers import INPUT, LINEAR


def at_the_images(data: Layers) -> pd.DataFrame:
    """`gradient_correlation` at the images, at initialisation, as column value; a row a run."""
    start = layers.at_start(data.table)
    inputs = start[start["kind"] == INPUT].rename(columns={"gradient_correlation": "value"})
    return inputs[["network", "depth", "shortcut", "seed", "value"]].dropna()


def applies(data: Layers) -> bool:
    """Whether the correlation was measured."""
    return not at_the_images(data).empty


def draw(data: Layers) -> Figure:
    """The correlation at initialisation: at the images against depth, then against the layer."""
    points = at_the_images(data)
    axis = DepthAxis.of(points)
    colours = style.depth_colours(axis.depths)
    start = layers.at_start(data.table)
    start = start[start["kind"] != LINEAR]
    with style.theme():
        figure, panels = layout.panels(1 + len(axis.shortcuts), 4.2, 3.4)
        axis.draw(panels[0], points)
        panels[0].set(title="at the images", ylabel="correlation of neighbours' gradients")
        for axes, shortcut in zip(panels[1:], axis.shortcuts, strict=True):
            of_kind = start[start["shortcut"] == shortcut]
            for depth in select.depths(of_kind):
                of_depth = of_kind[of_kind["depth"] == depth]
                band = layers.over_seeds(of_depth, "gradient_correlation")
                style.draw_band(axes, band, colours[depth])
            axes.set(title=f"{style.NAMES[shortcut]}, at each layer", xlabel="layer (0: images)")
        low = min(0.0, *(axes.get_ylim()[0] for axes in panels))
        for axes in panels:
            axes.set_ylim(low, 1.03)
        handles = axis.legend() + markers.depth_legend(colours, linewidth=1.5)
        layout.finish(figure, handles, data.runs)
    return figure


def sentences(data: Layers) -> list[str]:
    """The correlation at the images for every network."""
    means = at_the_images(data).groupby(["network"], sort=False)["value"].mean()
    means = means.round(2) + 0.0  # never -0.00
    return [
        "Correlation of the gradients at neighbouring images, at initialisation, mean over seeds: "
        + ", ".join(f"{network} {value:.2f}" for network, value in means.items())
        + "."
    ]
