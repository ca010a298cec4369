"""The state of each network at initialisation against its final error."""

import pandas as pd
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FuncFormatter

from analysis.frames import notices, select
from analysis.frames.layers import Layers, at_start, convolutions, layers, summaries
from analysis.plotting import layout, style
from analysis.verdict import contrasts
from resnet_bench.records.layers import INPUT

STATES = {
    "growth": "growth of gradients, a layer, towards the input",
    "correlation": "correlation of neighbours' gradients at the input",
    "rank": "effective rank of the last convolution's responses",
}
LOOKS = {"plain": ("#d55e00", "o"), "resnet": ("#0072b2", "s")}


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
    """Final training error against each state at initialisation: a marker a network, labelled."""
    table = states(data)
    with style.theme():
        figure, panels = layout.panels(len(STATES), 5.2, 5.0)
        for axes, (state, label) in zip(panels, STATES.items(), strict=True):
            for family, (colour, marker) in LOOKS.items():
                own = table[(table["family"] == family) & table[state].notna()]
                axes.plot(own[state], 100 * own["error"], marker, color=colour, alpha=0.8, ms=5)
                for row in own.to_dict("records"):
                    axes.annotate(
                        row["network"], (row[state], 100 * row["error"]), fontsize=6,
                        xytext=(4, 2), textcoords="offset points", color=style.MUTED,
                    )  # fmt: skip
            axes.set(xlabel=label, yscale="log")
            axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}%"))
            left, right = axes.get_xlim()
            axes.set_xlim(left, right + 0.25 * (right - left))  # room for the labels
        panels[0].set_ylabel("training error at the last iteration")
        handles = [
            Line2D([], [], color=colour, marker=marker, linestyle="none", label=family)
            for family, (colour, marker) in LOOKS.items()
        ]
        layout.finish(figure, handles, notices.notices(data.runs))
    return figure


def sentences(data: Layers) -> list[str]:
    """How well the rank of each state goes with that of the final error: Spearman's correlation."""
    table = states(data)
    found = []
    for state, label in STATES.items():
        pairs = table[[state, "error"]].dropna()
        if len(pairs) > 2 and pairs[state].nunique() > 1:
            correlation = pairs[state].corr(pairs["error"], method="spearman")
            found.append(f"{label} {correlation:+.2f} ({len(pairs)} networks)")
    if not found:
        return []
    return [f"Spearman's correlation with the final training error: {'; '.join(found)}."]
