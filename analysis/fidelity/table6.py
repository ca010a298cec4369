"""Table 6 of the paper, ours beside its own: final errors of every network, with parameters."""

from collections.abc import Hashable, Mapping
from typing import Any

import pandas as pd

from analysis.fidelity import deviations, paper
from analysis.formatting import _mean, percent
from analysis.frames import select

TRAIN, TEST = "precise_train_error", "test_error"


def final_errors(frame: pd.DataFrame) -> pd.DataFrame:
    """One row a network: parameters, n, last epoch, mean and deviation of the final errors.

    `frame` as from `load.runs`; errors are fractions, deviations are the sample's (n - 1), over
    the finished seeds; `running_mean` is over the last epoch. Where a network and its recipe are
    the paper's, its error stands beside, and the acceptance band if there is one. `remark` names
    the runs that are not finished.
    """
    runs = select.declared(frame)
    last = select.finals(select.over_last_epoch(runs))  # a last record may be of two batches
    rows = []
    for network, of_network in last.groupby("network", sort=False):
        done = of_network[of_network["status"] == "finished"]
        first = of_network.iloc[0]
        rows.append(
            {
                "network": network,
                "parameters": first["parameters"],
                "n": len(done),
                "epoch": done["epoch"].max() if len(done) else pd.NA,
                "running_mean": done["train_error"].mean(),
                "train_mean": done[TRAIN].mean(),
                "train_deviation": done[TRAIN].std(),
                "test_mean": done[TEST].mean(),
                "test_deviation": done[TEST].std(),
                **_reference(of_network, done[TEST].mean()),
                "remark": _remark(of_network),
            }
        )
    return pd.DataFrame(rows)


def _reference(of_network: pd.DataFrame, test_error: float) -> dict[str, Any]:
    run, reference = of_network.iloc[0], None
    if not run["variant"] and deviations.compares(of_network):
        reference = paper.REFERENCES.get((run["shortcut"], run["depth"]))
    band = reference.band if reference else None
    low, high = band or (float("nan"), float("nan"))
    compared = band is not None and not pd.isna(test_error)
    return {
        "paper_train": reference.train_error if reference else None,
        "paper_test": reference.test_error if reference else None,
        "paper_source": reference.source if reference else "",
        "band_low": low,
        "band_high": high,
        "in_band": ("yes" if low <= test_error <= high else "no") if compared else "",
    }


def _remark(of_network: pd.DataFrame) -> str:
    counts = of_network["status"].value_counts()
    at = of_network.loc[of_network["status"] == "diverged", "ended_at"]
    places = {"diverged": f" (at {', '.join(f'{iteration:,}' for iteration in at)})"}
    words = [
        f"{counts[status]} {status}{places.get(status, '')}"
        for status in ("diverged", "partial", "missing")
        if status in counts
    ]
    return ", ".join(words)


def rows(table: pd.DataFrame) -> list[list[str]]:
    """Header and rows for people: per cent, and the paper's columns only where there are any."""
    with_paper = bool((table["paper_source"] != "").any())
    header = ["network", "parameters", "n", "epoch", "train error %", "test error %"]
    header += ["paper %", "band %", "in band"] if with_paper else []
    rows = [header + ([""] if table["remark"].any() else [])]
    for row in table.to_dict("records"):
        line = [
            row["network"],
            f"{row['parameters']:,}",
            str(row["n"]),
            "" if pd.isna(row["epoch"]) else str(row["epoch"]),
            _mean(row["train_mean"], row["train_deviation"]),
            _mean(row["test_mean"], row["test_deviation"]),
        ]
        if with_paper:
            line += [percent(row["paper_test"]), _band(row), row["in_band"]]
        rows.append(line + ([row["remark"]] if len(rows[0]) > len(line) else []))
    return rows


def reference_rows(table: pd.DataFrame) -> list[list[str]]:
    """Ours beside table 6 and figure 6, where it has the network: errors and bands."""
    header = ["network", "n", "test %", "paper %", "band %", "in band", "running train %"]
    rows = [[*header, "paper %", "source"]]
    for row in table[table["paper_source"] != ""].to_dict("records"):
        test = [_mean(row["test_mean"], row["test_deviation"]), percent(row["paper_test"])]
        train = [percent(row["running_mean"]), percent(row["paper_train"])]
        line = [row["network"], str(row["n"]), *test, _band(row), row["in_band"], *train]
        rows.append([*line, row["paper_source"]])
    return rows


def _band(row: Mapping[Hashable, Any]) -> str:
    if pd.isna(row["band_low"]):
        return ""
    return f"{100 * row['band_low']:.1f}-{100 * row['band_high']:.1f}"
