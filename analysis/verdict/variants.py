"""Variants of a network against the network they are like, seed by seed."""

from typing import Any

import numpy as np
import pandas as pd

from analysis import formatting
from analysis.frames import select
from analysis.verdict import contrasts, finding, statistics


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
    change = formatting.points(row["difference"])
    return f"{row['base']} {change} (to {formatting.percent(row['variant_error'])}%{few})"


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
        parts.append(f"{family} {formatting.points(interval.mean)} ({finding.ends(interval)}{few})")
    deep, _, shallow = span.partition(" - ")
    return (
        f" From {shallow} to {deep} layers it then changes: {', '.join(parts)}; unadjusted 95%"
        " intervals, no verdict."
    )


def rows(frame: pd.DataFrame) -> list[list[str]]:
    """Every variant beside its network, for people: errors in per cent, differences in points."""
    rows = [["variant", "differs in", "n", "train error %", "its network's", "difference"]]
    rows[0] += ["test error %", "its network's", "difference"]
    both = [differences(frame, error).to_dict("records") for error in select.ERRORS]
    for train, test in zip(*both, strict=True):
        line = [train["network"], train["differs"], str(train["n"])]
        for row in (train, test):
            line += [
                formatting.percent(row["variant_error"]),
                formatting.percent(row["base_error"]),
            ]
            line.append("" if pd.isna(row["difference"]) else formatting.points(row["difference"]))
        rows.append(line)
    return rows
