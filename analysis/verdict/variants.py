"""Variants of a network against the network that they vary, seed by seed."""

from typing import Any

import pandas as pd

from analysis import formatting
from analysis.frames import select
from analysis.verdict import contrasts, finding


def pairs(frame: pd.DataFrame) -> pd.DataFrame:
    """One row a variant: columns network, base, differs, depth and shortcut of the base.

    The base is the grid network that differs from the variant in the fewest fields of network and
    recipe; of equals the first. `differs` names those fields: "activation: pre". `frame` as from
    `load.runs`. Empty for a suite without variants, or without grid networks.
    """
    specifications = select.finals(select.declared(frame)).drop_duplicates("network")
    fields = [*select.recipe_columns(frame), "cures"]
    fields += [column for column in frame.columns if column.startswith("network.")]
    is_base = specifications["variant"] == ""
    bases = specifications[is_base].to_dict("records")
    rows = []
    for variant in specifications[~is_base].to_dict("records") if bases else []:
        differences = [[key for key in fields if variant[key] != base[key]] for base in bases]
        differing, base = min(zip(differences, bases, strict=True), key=lambda pair: len(pair[0]))
        words = [f"{field.rpartition('.')[2]}: {variant[field]}" for field in differing]
        names = (variant["network"], base["network"], ", ".join(words))
        rows.append((*names, base["depth"], base["shortcut"]))
    return pd.DataFrame(rows, columns=["network", "base", "differs", "depth", "shortcut"])


def applies(frame: pd.DataFrame) -> bool:
    """Whether a variant and its base have a finished run each."""
    finished = set(select.finished(select.declared(frame))["network"])
    found = pairs(frame)
    return bool((found["network"].isin(finished) & found["base"].isin(finished)).any())


def differences(frame: pd.DataFrame, error: str) -> pd.DataFrame:
    """`pairs` with the mean final `error` (a column of `load.COLUMNS`) of variant and base.

    Further columns: n, variant_error, base_error and difference (fractions), over the seeds that
    both finished, NaN if none; seeds, the number of seeds of either, finished or not; diverged, the
    number of diverged runs of both.
    """
    runs = select.finals(select.declared(frame))
    by_seed = select.finished(runs).pivot(index="seed", columns="network", values=error)
    rows = []
    for pair in pairs(frame).to_dict("records"):
        both = by_seed.reindex(columns=[pair["network"], pair["base"]]).dropna()
        of_pair = runs[runs["network"].isin(both.columns)]
        numbers = {
            "n": len(both),
            "seeds": of_pair["seed"].nunique(),
            "diverged": int((of_pair["status"] == "diverged").sum()),
            "variant_error": both[pair["network"]].mean(),
            "base_error": both[pair["base"]].mean(),
            "difference": (both[pair["network"]] - both[pair["base"]]).mean(),
        }
        rows.append(pair | numbers)
    return pd.DataFrame(rows)


def sentences(frame: pd.DataFrame) -> list[str]:
    """For each kind of variant, its effect on the training error, and the effect of depth on it."""
    table = differences(frame, contrasts.ENDPOINT)
    table = table[(table["n"] > 0) | (table["diverged"] > 0)]
    found = []
    for differs, of_kind in table.groupby("differs", sort=False):
        most = int(of_kind["seeds"].max())
        sentence = (
            f"With {differs} the training error changes, in points and mean over"
            f" {f'{most} seeds' if most > 1 else 'one seed'}:"
            f" {', '.join(_effect(row, most) for row in of_kind.to_dict('records'))}."
        )
        found.append(sentence + _of_depth(frame, of_kind))
    return found


def _effect(row: dict[Any, Any], seeds: int) -> str:
    """The mean difference of one variant from its base, with n if that is below `seeds`.

    "plain-56 -0.42 (to 3.10%; 2 of 3 seeds, 1 run diverged)"
    """
    diverged = f"{formatting.counted(row['diverged'], 'run')} diverged"
    if not row["n"]:
        return f"{row['base']} not comparable ({diverged})"
    few = f"; {row['n']} of {seeds} seeds" if row["n"] < seeds else ""
    few += f", {diverged}" if row["diverged"] else ""
    difference = formatting.points(row["difference"])
    return f"{row['base']} {difference} (to {formatting.percent(row['variant_error'])}%{few})"


def _of_depth(frame: pd.DataFrame, of_kind: pd.DataFrame) -> str:
    """The effect of depth on the training error of one kind of variants; "" for one depth."""
    runs = frame[frame["network"].isin(of_kind["network"])]
    found = [contrast for contrast in contrasts.primary_of(runs, 0.95) if contrast.interval]
    if not found:
        return ""
    parts = []
    for contrast in found:
        parts.append(f"{contrast.kind} ({finding.change(contrast)})")
    return (
        f" From {finding.span(found[0])} it then changes: {', '.join(parts)}; unadjusted 95%"
        " intervals, no verdict."
    )


def rows(frame: pd.DataFrame) -> list[list[str]]:
    """Every variant beside its base: errors in per cent, differences in points; with a header."""
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
