"""Variants beside the networks they are variants of: what does the one field that differs do?"""

from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from analysis import (
    checks,
    contrasts,
    finding,
    layout,
    select,
    sensitivity,
    statistics,
    style,
    tables,
)
from analysis.depth_axis import DepthAxis

LANE, ASIDE = 0.36, 0.07  # between kinds at one depth; of base and variant from their middle


def pairs(frame: pd.DataFrame) -> pd.DataFrame:
    """One row a variant: network, `base`, in what it `differs`; depth and shortcut of the base.

    The base is the suite's own network from which it differs in the fewest fields of network and
    recipe; of equals the first. `differs` reads "activation: pre". `frame` as from `load.runs`.
    Empty where a suite has no variants, or nothing else.
    """
    specifications = select.finals(select.declared(frame)).drop_duplicates("network")
    fields = select.recipe_columns(frame) + [c for c in frame.columns if c.startswith("network.")]
    bases = specifications[specifications["variant"] == ""]
    rows = []
    for _, variant in specifications[specifications["variant"] != ""].iterrows():
        differences = [
            [field for field in fields if variant[field] != base[field]]
            for _, base in bases.iterrows()
        ]
        if not differences:
            continue
        fewest = min(range(len(differences)), key=lambda place: len(differences[place]))
        base = bases.iloc[fewest]
        words = [f"{field.partition('.')[2]}: {variant[field]}" for field in differences[fewest]]
        rows.append(
            {
                "network": variant["network"],
                "base": base["network"],
                "differs": ", ".join(words),
                "depth": base["depth"],
                "shortcut": base["shortcut"],
            }
        )
    return pd.DataFrame(rows, columns=["network", "base", "differs", "depth", "shortcut"])


def applies(frame: pd.DataFrame) -> bool:
    """Whether a variant and its network have a finished run each."""
    done = set(select.finished(select.declared(frame))["network"])
    found = pairs(frame)
    return bool((found["network"].isin(done) & found["base"].isin(done)).any())


def differences(frame: pd.DataFrame, error: str) -> pd.DataFrame:
    """`pairs`, with n and the mean final errors of both, and of their difference by seed.

    Columns n, variant_error, base_error, difference (fractions) over the seeds that both finished,
    NaN where there is none; seeds, at which either was to run; diverged, how many runs of the two.
    """
    runs = select.finals(select.declared(frame))
    ended = select.finished(runs).set_index(["network", "seed"])[error]
    rows = []
    for pair in pairs(frame).to_dict("records"):
        both = pd.DataFrame(
            {name: ended[ended.index.get_level_values("network") == pair[name]].droplevel(0)
             for name in ("network", "base")}
        ).dropna()  # fmt: skip
        of_pair = runs[runs["network"].isin([pair["network"], pair["base"]])]
        rows.append(
            pair
            | {
                "n": len(both),
                "seeds": of_pair["seed"].nunique(),
                "diverged": int((of_pair["status"] == "diverged").sum()),
                "variant_error": both["network"].mean(),
                "base_error": both["base"].mean(),
                "difference": (both["network"] - both["base"]).mean(),
            }
        )
    return pd.DataFrame(rows)


def draw(frame: pd.DataFrame, columns: int | None = None) -> Figure:
    """Final errors of networks (open) and variants (filled) side by side, a panel a difference.

    `frame` as from `load.runs`. Markers are means over seeds, dots the variants' seeds; a cross on
    the upper edge is a variant's run that diverged.
    """
    found = pairs(frame)
    axis = DepthAxis.of(found)
    kinds = list(dict.fromkeys(found["differs"]))
    runs = select.declared(frame)
    with style.theme():
        rows = [(error, kind) for error in sensitivity.ERRORS for kind in kinds]
        figure, panels = layout.panels(len(rows), columns or min(len(kinds), 4), 3.2, 3.0)
        for axes, (error, kind) in zip(panels, rows, strict=True):
            for pair in found[found["differs"] == kind].to_dict("records"):
                _draw_pair(axes, axis, select.finished(runs), pair, error)
            axis.prepare(axes)
            axes.set(title=kind, ylabel=sensitivity.ERRORS[error])
        style.percent_axis(panels)
        for axes, (_, kind) in zip(panels, rows, strict=True):
            _draw_diverged(axes, axis, runs, found[found["differs"] == kind])
        layout.frame_panels(figure, _legend(axis), checks.notices(frame))
    return figure


def _place(axis: DepthAxis, pair: dict[Any, Any]) -> float:
    """The x between a network and its variant."""
    lane = axis.shortcuts.index(pair["shortcut"]) - (len(axis.shortcuts) - 1) / 2
    return axis.depths.index(pair["depth"]) + LANE * lane


def _draw_pair(
    axes: Axes, axis: DepthAxis, ended: pd.DataFrame, pair: dict[Any, Any], error: str
) -> None:
    """A network, its variant, and the line from one to the other."""
    x = _place(axis, pair)
    base, variant = (
        100 * ended.loc[ended["network"] == pair[name], error] for name in ("base", "network")
    )
    look: dict[str, Any] = {"color": axis.colours[pair["depth"]], "zorder": 4}
    marker = style.MARKERS[pair["shortcut"]]
    axes.plot([x - ASIDE, x + ASIDE], [base.mean(), variant.mean()], lw=1, **look)
    axes.plot(x - ASIDE, base.mean(), marker, markerfacecolor=style.PAPER, markersize=6, **look)
    axes.plot(x + ASIDE, variant.mean(), marker, markersize=6, **look)
    axes.plot([x + 1.9 * ASIDE] * len(variant), variant, ".", markersize=4, **look)


def _draw_diverged(axes: Axes, axis: DepthAxis, runs: pd.DataFrame, found: pd.DataFrame) -> None:
    diverged = set(runs.loc[runs["status"] == "diverged", "network"])
    for pair in found[found["network"].isin(diverged)].to_dict("records"):
        axes.plot(
            _place(axis, pair) + ASIDE, axes.get_ylim()[1], "X",
            color=axis.colours[pair["depth"]], markeredgecolor=style.PAPER, markersize=9,
            clip_on=False, zorder=6,
        )  # fmt: skip


def _legend(axis: DepthAxis) -> list[Line2D]:
    look: dict[str, Any] = {"color": style.INK, "linestyle": "none"}
    handles = []
    for shortcut in axis.shortcuts:
        marker, name = style.MARKERS[shortcut], style.NAMES[shortcut]
        handles.append(
            Line2D([], [], marker=marker, markerfacecolor=style.PAPER, label=name, **look)
        )
        handles.append(Line2D([], [], marker=marker, label=f"{name}: variant", **look))
    return handles


def sentences(frame: pd.DataFrame) -> list[str]:
    """What each difference does to the training error, and depth then does: one for each."""
    table = differences(frame, contrasts.ENDPOINT)
    table = table[(table["n"] > 0) | (table["diverged"] > 0)]
    found = []
    for differs, of_kind in table.groupby("differs", sort=False):
        most = int(of_kind["seeds"].max())
        sentence = (
            f"With {differs} the training error changes, in points and mean over"
            f" {f'{most} seeds' if most > 1 else 'one seed'}:"
            f" {', '.join(_change(row, most) for row in of_kind.to_dict('records'))}."
        )
        found.append(sentence + _of_depth(frame, of_kind))
    return found


def _change(row: dict[Any, Any], seeds: int) -> str:
    """What the difference does to one network; over fewer than all `seeds`, this is said."""
    lost = f"{row['diverged']} run{'s' if row['diverged'] > 1 else ''} diverged"
    if not row["n"]:
        return f"{row['base']} not comparable ({lost})"
    few = f"; {row['n']} of {seeds} seeds" if row["n"] < seeds else ""
    few += f", {lost}" if row["diverged"] else ""
    change = finding.points(row["difference"])
    return f"{row['base']} {change} (to {tables.percent(row['variant_error'])}%{few})"


def _of_depth(frame: pd.DataFrame, of_kind: pd.DataFrame) -> str:
    """What depth does to the training error of one kind of variants; "" with one depth alone."""
    runs = frame[frame["network"].isin(of_kind["network"])]
    found = [one for one in contrasts.primary_of(runs)[:2] if one.n > 1]
    if not found:
        return ""
    parts = []
    for contrast in found:
        interval = statistics.t_interval(np.array(contrast.values), 0.95, contrast.resolution)
        family, _, span = contrast.name.partition(": ")
        few = f", {contrast.n} seeds" + (", a run diverged" if contrast.diverged else "")
        parts.append(f"{family} {finding.points(interval.mean)} ({finding.ends(interval)}{few})")
    deep, _, shallow = span.partition(" - ")
    return (
        f" From {shallow} to {deep} layers it then changes: {', '.join(parts)}; unadjusted 95%"
        " intervals, no verdict."
    )


def cells(frame: pd.DataFrame) -> list[list[str]]:
    """Every variant beside its network, for people: errors in per cent, differences in points."""
    rows = [["variant", "differs in", "n", "train error %", "its network's", "difference"]]
    rows[0] += ["test error %", "its network's", "difference"]
    both = [differences(frame, error).to_dict("records") for error in sensitivity.ERRORS]
    for train, test in zip(*both, strict=True):
        line = [train["network"], train["differs"], str(train["n"])]
        for row in (train, test):
            line += [tables.percent(row["variant_error"]), tables.percent(row["base_error"])]
            line.append("" if pd.isna(row["difference"]) else finding.points(row["difference"]))
        rows.append(line)
    return rows
