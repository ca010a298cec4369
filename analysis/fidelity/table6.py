"""Final errors and parameters of every network beside table 6 of the paper."""

from typing import Any

import pandas as pd

from analysis.fidelity import deviations, paper
from analysis.formatting import mean_and_deviation, percent, percent_range
from analysis.frames import select

TRAIN, TEST = "precise_train_error", "test_error"


def final_errors(frame: pd.DataFrame) -> pd.DataFrame:
    """One row a network: parameters, n, last epoch, mean and deviation of the final errors.

    `frame` as from `load.runs`; errors are fractions, deviations are the sample's (n - 1), over
    the finished seeds; `running_mean` is over the last epoch. If network and recipe are the
    paper's, columns paper_*, band_* and in_band hold its errors and the acceptance band. `remark`
    counts the runs that are not finished.
    """
    runs = select.declared(frame)
    finals = select.finals(select.over_last_epoch(runs))
    rows = []
    for network, of_network in finals.groupby("network", sort=False):
        finished = of_network[of_network["status"] == "finished"]
        first = of_network.iloc[0]
        rows.append(
            {
                "network": network,
                "parameters": first["parameters"],
                "n": len(finished),
                "epoch": finished["epoch"].max() if len(finished) else pd.NA,
                "running_mean": finished["train_error"].mean(),
                "train_mean": finished[TRAIN].mean(),
                "train_deviation": finished[TRAIN].std(),
                "test_mean": finished[TEST].mean(),
                "test_deviation": finished[TEST].std(),
                **_reference(of_network, finished[TEST].mean()),
                "remark": _remark(of_network),
            }
        )
    return pd.DataFrame(rows)


def _reference(of_network: pd.DataFrame, test_error: float) -> dict[str, Any]:
    """The columns with the paper's errors (fractions), of one network's runs."""
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
    """ "1 diverged (at 1,200), 2 missing" """
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
    """The table in per cent, with a header; the paper's columns only if it has any network."""
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
            mean_and_deviation(row["train_mean"], row["train_deviation"]),
            mean_and_deviation(row["test_mean"], row["test_deviation"]),
        ]
        if with_paper:
            band = percent_range(row["band_low"], row["band_high"])
            line += [percent(row["paper_test"]), band, row["in_band"]]
        rows.append(line + ([row["remark"]] if len(rows[0]) > len(line) else []))
    return rows


def reference_rows(table: pd.DataFrame) -> list[list[str]]:
    """The networks that table 6 or figure 6 has, in per cent beside its errors; with a header."""
    header = ["network", "n", "test %", "paper %", "band %", "in band", "running train %"]
    rows = [[*header, "paper %", "source"]]
    for row in table[table["paper_source"] != ""].to_dict("records"):
        test = mean_and_deviation(row["test_mean"], row["test_deviation"])
        line = [row["network"], str(row["n"]), test, percent(row["paper_test"])]
        line += [percent_range(row["band_low"], row["band_high"]), row["in_band"]]
        line += [percent(row["running_mean"]), percent(row["paper_train"])]
        rows.append([*line, row["paper_source"]])
    return rows
