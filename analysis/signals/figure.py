"""Forward and backward signals, layer by layer, at initialisation and through training."""

import math

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, NullLocator

from analysis.frames import layers, select
from analysis.frames.layers import YANG, Layers
from analysis.plotting import layout, markers, style

AT_START = {
    "activation_deviation": "deviation of what blocks hand on",
    "activation_gradient_norm": "norm of the gradient",
}
IN_TRAINING = {
    "response_deviation": "deviation of responses",
    "activation_gradient_norm": "norm of the gradient",
    "update_ratio": "next update, over the weights",
}
MOST = 6  # iterations drawn in one panel


def applies(data: Layers) -> bool:
    """Whether layers were measured at initialisation."""
    return not layers.at_start(data.table).empty


def applies_in_training(data: Layers) -> bool:
    """Whether layers were measured at two iterations at least."""
    return bool(data.table["iteration"].nunique() > 1)


def draw(data: Layers) -> Figure:
    """Deviations and gradients at initialisation against the layer, a panel a kind of shortcut."""
    start = layers.at_start(data.table)
    colours = style.depth_colours(select.depths(start))
    with style.theme():
        figure = _draw(start, "depth", colours, AT_START)
        handles = markers.depth_legend(colours)
        label = f"{YANG:.3f} a layer (Yang et al.)"
        handles.append(markers.entry(label, style.MUTED, lw=1.2, ls=":"))
        layout.finish(figure, handles, data.runs)
    return figure


def draw_in_training(data: Layers) -> Figure:
    """The deepest networks' signals at several iterations, a shade each, a panel a shortcut."""
    deepest = data.table[data.table["depth"] == data.table["depth"].max()]
    shades = _shades(sorted(deepest["iteration"].unique().tolist()))
    with style.theme():
        figure = _draw(deepest, "iteration", shades, IN_TRAINING)
        labels = {f"iteration {iteration:,}": colour for iteration, colour in shades.items()}
        handles = markers.line_legend(labels)
        layout.finish(figure, handles, data.runs)
    return figure


def _shades(iterations: list[int]) -> dict[int, str]:
    """A sequential shade for each of at most `MOST` iterations, the first and the last included."""
    count = min(MOST, len(iterations))
    places = [round(place * (len(iterations) - 1) / max(1, count - 1)) for place in range(count)]
    return dict(zip([iterations[place] for place in places], style.shades(count), strict=True))


def _draw(
    table: pd.DataFrame, by: str, colours: dict[int, str], quantities: dict[str, str]
) -> Figure:
    """A row of panels a quantity, a column a kind of shortcut, a line for each value of `by`."""
    kinds = select.shortcuts(table)
    rows = [(quantity, shortcut) for quantity in quantities for shortcut in kinds]
    figure, panels = layout.panels(len(rows), 5.0, 2.8, len(kinds))
    for axes, (quantity, shortcut) in zip(panels, rows, strict=True):
        of_kind = table[table["shortcut"] == shortcut]
        chosen = layers.block_ends if quantity == "activation_deviation" else layers.convolutions
        for value, colour in colours.items():
            rows_of_line = chosen(of_kind[of_kind[by] == value])
            style.draw_band(axes, layers.over_seeds(rows_of_line, quantity), colour)
        name = style.NAMES[shortcut] if by == "depth" else of_kind["network"].iloc[0]
        axes.set(title=f"{name}: {quantities[quantity]}", xlabel="layer")
        if by == "depth" and (quantity, shortcut) == ("activation_gradient_norm", "none"):
            _draw_theory(axes, layers.convolutions(of_kind))
    for place in range(0, len(panels), len(kinds)):
        _same_log_axis(panels[place : place + len(kinds)])
    return figure


def _draw_theory(axes: Axes, convs: pd.DataFrame) -> None:
    """The gradients that Yang et al. expect of the deepest plain network."""
    deepest = convs[convs["depth"] == convs["depth"].max()]
    band = layers.over_seeds(deepest, "activation_gradient_norm")["median"]
    expected = band.iloc[-1] * YANG ** (band.index[-1] - band.index)
    axes.plot(band.index, expected, color=style.MUTED, linewidth=1.2, linestyle=":", zorder=1)


def _same_log_axis(panels: list[Axes]) -> None:
    """The same logarithmic axis for all `panels`, with plain numbers where they are short."""
    for axes in panels:
        axes.set_yscale("log")
    low = min(axes.get_ylim()[0] for axes in panels)
    high = max(axes.get_ylim()[1] for axes in panels)
    if high < 10 * low:  # room for more than one tick
        low, high = min(low, 0.5), max(high, 5.0)
    steps = (1.0, 2.0, 5.0) if high < 100 * low else (1.0,)
    labels = FuncFormatter(lambda value, _: f"{value:g}" if high < 1e4 * low else _power(value))
    for axes in panels:
        axes.set_ylim(low, high)
        axes.yaxis.set_major_locator(LogLocator(subs=steps, numticks=9))
        axes.yaxis.set_major_formatter(labels)
        axes.yaxis.set_minor_locator(NullLocator())


def _power(value: float) -> str:
    """A power of ten as "1" or "$10^{-3}$"."""
    return f"$10^{{{round(math.log10(value))}}}$" if value != 1 else "1"
