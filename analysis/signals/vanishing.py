"""Do signals vanish or explode through the layers? The answer in sentences.

He et al. 2015, section 4.1, of a plain network of 34 layers with batch norm: "neither forward nor
backward signals vanish". Yang et al. 2019 (arXiv 1902.08129): batch norm makes the gradients of
plain networks explode at initialisation, by a factor a layer.
"""

from dataclasses import replace
from typing import Literal

import pandas as pd

from analysis.formatting import listed, two_digits
from analysis.frames import layers, select
from analysis.frames.layers import YANG, Layers

# The criterion: two orders of magnitude from 1. Forward, the deviation of any convolution's
# responses, which batch norm sets to 1 at initialisation; backward, the gradient's norm at any
# convolution's response, over that at the last one's.
FACTOR = 100.0
Fate = Literal["hold", "vanish", "explode", "vanish and explode"]


def regime(low: float, high: float) -> Fate:
    """The fate of a signal that should be about 1 and lies between `low` and `high`."""
    if low < 1 / FACTOR:
        return "vanish and explode" if high > FACTOR else "vanish"
    return "explode" if high > FACTOR else "hold"


def fates(data: Layers) -> pd.DataFrame:
    """One row a network and measured iteration: medians of `layers.summaries`, and two fates.

    Columns as in `layers.summaries` without seed, and n (seeds), forward_fate, backward_fate.
    """
    keys = ["network", "depth", "shortcut", "iteration"]
    grouped = layers.summaries(data.table).groupby(keys, sort=False)
    table = grouped.median().drop(columns="seed").assign(n=grouped.size()).reset_index()
    for way in ("forward", "backward"):
        ends = zip(table[f"{way}_low"], table[f"{way}_high"], strict=True)
        table[f"{way}_fate"] = [regime(low, high) for low, high in ends]
    return table


def sentences(data: Layers) -> list[str]:
    """The paper's claim for every plain network, and the numbers of the deepest of each kind.

    Of finished runs only: others lack the measurements of the end. `_left_out` names them.
    """
    table = fates(replace(data, table=data.table[data.table["status"] == "finished"]))
    plain = table[table["shortcut"] == "none"]
    if plain.empty:
        return []
    deepest = table[table["depth"] == plain["depth"].max()]
    numbers = [
        _numbers(deepest[deepest["shortcut"] == shortcut]) for shortcut in select.shortcuts(deepest)
    ]
    return [_claim(plain, table[table["shortcut"] != "none"]), *numbers, *_left_out(data)]


def _left_out(data: Layers) -> list[str]:
    """ "Not in this: plain-110 seed 1 partial.", on measured runs that are not finished"""
    unfinished = data.table[data.table["status"] != "finished"].drop_duplicates(layers.RUN)
    runs = [f"{run.network} seed {run.seed} {run.status}" for run in unfinished.itertuples()]
    return [f"Not in this: {', '.join(runs)}."] if runs else []


def _claim(plain: pd.DataFrame, residual: pd.DataFrame) -> str:
    """The plain networks in which signals never vanish, and whether residual ones differ."""
    vanishing = _networks_with("vanish", plain)
    kept = [name for name in dict.fromkeys(plain["network"]) if name not in vanishing]
    words = [f"do not in {listed(kept)}"] if kept else []
    words += [f"do in {listed(vanishing)}"] if vanishing else []
    parts = [
        '"Neither forward nor backward signals vanish" (He et al. 2015, section 4.1, of 34 layers'
        f" on ImageNet): here, if to vanish is to shrink by a factor of {FACTOR:g} (a limit set"
        f" after a look at the data), they {', and '.join(words)}."
    ]
    if exploding := _networks_with("explode", plain[plain["iteration"] == 0]):
        parts.append(f"At initialisation they explode in {listed(exploding)}.")
    if failing := _networks_with("vanish|explode", residual):
        parts.append(f"They do not hold throughout in {listed(failing)} either.")
    elif len(residual):
        parts.append(f"They hold throughout in {listed(list(dict.fromkeys(residual['network'])))}.")
    return " ".join(parts)


def _networks_with(words: str, rows: pd.DataFrame) -> list[str]:
    """The networks with a fate that matches the pattern `words`, at any iteration, either way."""
    forward, backward = (rows[f"{way}_fate"].str.contains(words) for way in ("forward", "backward"))
    return list(dict.fromkeys(rows.loc[forward | backward, "network"]))


def _numbers(rows: pd.DataFrame) -> str:
    """One network's signals at its first and its last measured iteration: a sentence."""
    first, last = rows["iteration"].min(), rows["iteration"].max()
    ends = rows[rows["iteration"].isin([first, last])].sort_values("iteration")
    n = ends["n"].iloc[0]
    counted = f"medians of {n} seeds" if n > 1 else "one seed"
    parts = [_at(row) for _, row in ends.iterrows()]
    return f"{ends['network'].iloc[0]} ({counted}): {'; '.join(parts)}."


def _at(row: pd.Series) -> str:
    """One network's signals at one iteration: a clause; `row` as of `fates`."""
    at_start = row["iteration"] == 0
    when = "at initialisation" if at_start else f"after {row['iteration']:,} iterations"
    theory = f"; Yang et al. expect {YANG:.3f}" if at_start and row["shortcut"] == "none" else ""
    growth = "" if pd.isna(row["growth"]) else f", a factor of {row['growth']:.3f} a layer{theory}"
    first = f"the first layer's is {two_digits(row['backward'])} times the last one's"
    if row["backward_fate"] != regime(row["backward"], row["backward"]):  # set by other layers
        low, high = two_digits(row["backward_low"]), two_digits(row["backward_high"])
        first = f"{low} to {high} times the last one's, {first}"
    return (
        f"{when} responses {row['forward_fate']} (deviations {two_digits(row['forward_low'])} to"
        f" {two_digits(row['forward_high'])}), gradients {row['backward_fate']}"
        f" ({first}{growth}), and an update changes a layer's weights by up to"
        f" {two_digits(row['update_high'])} times their norm"
    )
