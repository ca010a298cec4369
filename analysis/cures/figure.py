"""Figures of cures: error against depth with one thing changed, and the shares they remove."""

from collections.abc import Mapping

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FuncFormatter

from analysis import formatting
from analysis.cures.shares import Cures, Share
from analysis.frames import notices, select
from analysis.plotting import layout, style
from analysis.verdict import finding, statistics

LINES = {"control": "#d55e00", "cured": "#0072b2", "residual": style.MUTED}
LOWEST = -0.5  # of the axis of shares: below it a treatment makes things worse, and is cut


def applies(frame: pd.DataFrame) -> bool:
    """Whether a treatment and its controls have ended runs."""
    found = Cures.of(frame)
    return found is not None and bool(found.shares)


def draw_depth(frame: pd.DataFrame) -> Figure:
    """Training error against depth: the plain control, its best cure, and residual networks.

    `frame` as from `load.runs`. A dot is a seed, a line joins means; bars are Student's 95%
    intervals. The best cure is the treatment of plain networks that removes most.
    """
    found = Cures.of(frame)
    assert found is not None
    lines = depth_lines(found, frame)
    with style.theme():
        figure, (axes,) = layout.panels(1, 6.4, 4.2)
        for (label, networks), colour in zip(lines.items(), LINES.values(), strict=False):
            _draw_line(axes, found, networks, label, colour)
        depths = sorted({depth for networks in lines.values() for depth in networks})
        axes.set_xticks(depths, [str(depth) for depth in depths])
        axes.set(xlabel="depth (weighted layers)", ylabel="training error at the last iteration")
        axes.set_xlim(depths[0] - 4, depths[-1] + 4)
        style.percent_axis([axes])
        handles = [
            Line2D([], [], color=colour, marker="o", label=label)
            for label, colour in zip(lines, LINES.values(), strict=False)
        ]
        layout.finish(figure, handles, notices.notices(frame))
    return figure


def depth_lines(found: Cures, frame: pd.DataFrame) -> dict[str, dict[int, str]]:
    """The networks of each line, by depth: control, best cure of plain networks, residual ones."""
    grid = select.finals(select.grid_networks(frame)).drop_duplicates("network")
    plain = grid[grid["shortcut"] == "none"]
    lines = {"plain": dict(zip(plain["depth"], plain["network"], strict=True))}
    if best := _best(found):
        lines[f"plain, {best.treatment.label}"] = best.treatment.networks
    for treatment in found.treatments:
        if treatment.label.startswith("option "):
            lines[f"residual, {treatment.label}"] = treatment.networks
            break
    return lines


def _draw_line(
    axes: Axes, found: Cures, networks: Mapping[int, str], label: str, colour: str
) -> None:
    values = {depth: 100 * found.errors(networks[depth]) for depth in sorted(networks)}
    values = {depth: errors for depth, errors in values.items() if len(errors)}
    axes.plot(
        list(values), [errors.mean() for errors in values.values()], "o-", color=colour,
        markersize=6, linewidth=2, zorder=4, label=label,
    )  # fmt: skip
    for depth, errors in values.items():
        axes.scatter(np.full(len(errors), depth + 0.8), errors, s=14, color=colour, alpha=0.6)
        if len(errors) > 1:
            interval = statistics.t_interval(errors)
            axes.vlines(depth, interval.low, interval.high, color=colour, linewidth=1.4)


def draw_shares(frame: pd.DataFrame) -> Figure:
    """The share of the degradation that each treatment removes, the best at the top.

    `frame` as from `load.runs`. Filled markers are shares by each treatment's own shallow network,
    open ones against the control's; bars are Fieller's 95% intervals.
    """
    found = Cures.of(frame)
    assert found is not None
    shares = found.shares
    with style.theme():
        figure, (axes,) = layout.panels(1, 8.4, 0.9 + 0.3 * len(shares))
        for place, share in enumerate(reversed(shares)):
            _draw_share(axes, place, share)
        names = [_name(share) for share in reversed(shares)]
        axes.set_yticks(range(len(names)), names)
        axes.set_ylim(-0.7, len(names) - 0.3)
        axes.set_xlim(LOWEST - 0.03, 1.35)
        axes.axvline(0, color=style.MUTED, linewidth=1)
        axes.axvline(1, color=style.MUTED, linewidth=1, linestyle=":")
        axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{100 * value:.0f}%"))
        axes.set_xlabel("share of the degradation that it removes")
        axes.grid(visible=False, axis="y")
        layout.finish(figure, _legend(), notices.notices(frame))
        figure.subplots_adjust(left=2.3 / figure.get_figwidth())
    return figure


def _name(share: Share) -> str:
    kind = "" if share.treatment.shortcut == "none" else "residual, "
    return f"{kind}{share.treatment.label}"


def _draw_share(axes: Axes, place: int, share: Share) -> None:
    colour = LINES["cured"] if share.treatment.shortcut == "none" else LINES["residual"]
    for value, interval, offset, face in (
        (share.removed, share.interval, 0.12, colour),
        (share.against_control, share.control_interval, -0.16, style.PAPER),
    ):
        y = place + offset
        if interval is not None:
            ends = np.clip([interval.low, interval.high], LOWEST, 1.35)
            axes.plot(ends, [y, y], color=colour, linewidth=1.3, zorder=3)
        if value < LOWEST:
            axes.plot(LOWEST, y, "<", color=colour, markerfacecolor=face, markersize=6, zorder=4)
        else:
            axes.plot(value, y, "o", color=colour, markerfacecolor=face, markersize=6, zorder=4)


def _legend() -> list[Line2D]:
    look = {"color": LINES["cured"], "marker": "o"}
    open_look = look | {"markerfacecolor": style.PAPER}
    return [
        Line2D([], [], label="by its own shallow network", **look),  # type: ignore[arg-type]
        Line2D([], [], label="against the control's", **open_look),  # type: ignore[arg-type]
        Line2D([], [], color=LINES["residual"], marker="o", label="residual networks"),
    ]


def depth_sentences(frame: pd.DataFrame) -> list[str]:
    """The figure of depths in a sentence: errors of the deepest networks, and the share removed."""
    found = Cures.of(frame)
    best = _best(found) if found else None
    if found is None or best is None:
        return []
    ends = []
    for label, networks in depth_lines(found, frame).items():
        errors = found.errors(networks[found.deep])
        if len(errors):
            deviation = errors.std(ddof=1) if len(errors) > 1 else np.nan
            ends.append(f"{label} {formatting.mean_and_deviation(errors.mean(), deviation)}%")
    return [
        f"After {finding.budget(frame)}, training errors at {found.deep} layers are: "
        f"{', '.join(ends)} ({formatting.counted(best.seeds, 'seed')}). The cure"
        f" {best.treatment.label} removes {best.text} of the degradation from {found.shallow} to"
        f" {found.deep} layers, and {best.control_text} against the control's shallow network."
    ]


def _best(found: Cures) -> Share | None:
    """The first share of a treatment of plain networks."""
    return next((share for share in found.shares if share.treatment.shortcut == "none"), None)
