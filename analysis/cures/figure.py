"""Figures of cures: error against depth with one thing changed, and the shares they remove."""

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FuncFormatter

from analysis.cures import sentences
from analysis.cures.sentences import lines
from analysis.cures.shares import Cures, Share
from analysis.plotting import layout, style
from analysis.plotting.figure_spec import FigureSpec
from analysis.verdict import statistics

CONTROL, RESIDUAL = style.SHORTCUT_COLOURS["none"], style.SHORTCUT_COLOURS["A"]
CURED = "#7a7ad6"  # treatments of plain networks
ENDS = (-0.5, 1.35)  # of the axis of shares: what lies beyond is cut


def draw_depth(cures: Cures) -> Figure:
    """Training error against depth: the plain control, its best cure, and residual networks.

    A dot is a seed, a line joins means; bars are Student's 95% intervals, from four seeds on. The
    best cure is the treatment of plain networks that removes most.
    """
    with style.theme():
        figure, (axes,) = layout.panels(1, 6.4, 4.2)
        found = lines(cures)
        colours = [CONTROL, *([CURED] if cures.best else []), RESIDUAL]
        for (label, networks), colour in zip(found.items(), colours, strict=False):
            _draw_line(axes, cures, networks, label, colour)
        depths = sorted({depth for networks in found.values() for depth in networks})
        axes.set_xticks(depths, [str(depth) for depth in depths])
        axes.set(xlabel="depth (weighted layers)", ylabel="training error at the last iteration")
        axes.set_xlim(depths[0] - 4, depths[-1] + 4)
        style.percent_axis([axes])
        layout.finish(figure, list(axes.lines), cures.frame)
    return figure


def _draw_line(axes: Axes, cures: Cures, networks: dict[int, str], label: str, colour: str) -> None:
    values = {depth: 100 * cures.errors(networks[depth]) for depth in sorted(networks)}
    values = {depth: errors for depth, errors in values.items() if len(errors)}
    if not values:  # all runs of these networks are missing
        return
    axes.plot(
        list(values), [errors.mean() for errors in values.values()], "o-", color=colour,
        markersize=6, linewidth=2, zorder=4, label=label,
    )  # fmt: skip
    for depth, errors in values.items():
        axes.scatter(np.full(len(errors), depth + 0.8), errors, s=14, color=colour, alpha=0.6)
        if len(errors) > 3:
            interval = statistics.t_interval(errors)
            axes.vlines(depth, interval.low, interval.high, color=colour, linewidth=1.4)


def draw_shares(cures: Cures) -> Figure:
    """The share of the degradation that each treatment removes, the best at the top.

    Filled markers are shares by each treatment's own shallow network, open ones by the control's;
    bars are Fieller's 95% intervals.
    """
    shares = cures.shares[::-1]
    with style.theme():
        figure, (axes,) = layout.panels(1, 8.4, 0.9 + 0.3 * len(shares))
        for place, share in enumerate(shares):
            _draw_share(axes, place, share)
        axes.set_yticks(range(len(shares)), [_name(share) for share in shares])
        axes.set_ylim(-0.7, len(shares) - 0.3)
        left, right = axes.get_xlim()
        axes.set_xlim(min(left, -0.03), max(right, 1.03))
        axes.axvline(0, color=style.MUTED, linewidth=1)
        axes.axvline(1, color=style.MUTED, linewidth=1, linestyle=":")
        axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{100 * value:.0f}%"))
        axes.set_xlabel("share of the degradation that it removes")
        axes.grid(visible=False, axis="y")
        layout.finish(figure, _legend(shares), cures.frame)
        figure.subplots_adjust(left=2.3 / figure.get_figwidth())
    return figure


def _name(share: Share) -> str:
    kind = "" if share.treatment.shortcut == "none" else "residual, "
    return f"{kind}{share.treatment.label}"


def _draw_share(axes: Axes, place: int, share: Share) -> None:
    colour = CURED if share.treatment.shortcut == "none" else RESIDUAL
    for interval, y, face in (
        (share.own, place + 0.12, colour),
        (share.control, place - 0.16, style.PAPER),
    ):
        axes.plot(np.clip([interval.low, interval.high], *ENDS), [y, y], color=colour, lw=1.3)
        marker = "<" if interval.mean < ENDS[0] else "o"
        mean = np.clip(interval.mean, *ENDS)
        axes.plot(mean, y, marker, color=colour, markerfacecolor=face, markersize=6, zorder=4)


def _legend(shares: list[Share]) -> list[Line2D]:
    own = Line2D([], [], color=CURED, marker="o", label="from its own shallow network")
    control = Line2D([], [], color=CURED, marker="o", label="from the control's shallow network")
    control.set_markerfacecolor(style.PAPER)
    residual = Line2D([], [], color=RESIDUAL, marker="o", label="residual networks")
    any_residual = any(share.treatment.shortcut != "none" for share in shares)
    return [own, control, *([residual] if any_residual else [])]


DEPTH = FigureSpec(
    "cures-depth",
    "Error against depth, one thing changed",
    "Training error at the last iteration, in evaluation mode with precise batch norm. The best"
    " cure is the treatment of plain networks that removes most of the degradation. Dots are"
    " seeds, lines join means, bars are Student's 95% intervals; a run that diverged counts"
    " with the error of guessing.",
    draw_depth,
    lambda cures: cures is not None,
    data="cures",
    sentences=sentences.of_depth,
)
SHARES = FigureSpec(
    "cures",
    "What removes degradation",
    "The control's degradation is the training error of deep plain networks less that of"
    " shallow ones. Filled: 1 - a treatment's degradation over the control's; open: the same"
    " with the control's shallow network; below 0 it makes things worse. Sorted by the smaller."
    " Bars: 95% intervals by Fieller's method, not adjusted for the number of treatments.",
    draw_shares,
    lambda cures: cures is not None,
    data="cures",
)
