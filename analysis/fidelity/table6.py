"""Final errors and parameters of every network beside table 6 of the paper."""

from typing import Any

import pandas as pd

from analysis.fidelity import deviations, paper
from analysis.formatting import mean_and_deviation, percent, percent_range, table
from analysis.frames import select

TRAIN, TEST = "precise_train_error", "test_error"


def final_errors(frame: pd.DataFrame) -> pd.DataFrame:
    """One row a network: parameters, n, last epoch, mean and deviation of the final errors.

    `frame` as from `load.runs`; errors are fractions, deviations are the sample's (n - 1), over
    the finished seeds; `running_mean` is over the last epoch. If network and recipe are the
    paper's, columns paper_*, band_* and in_band hold its errors and the acceptance band. `remark`
    counts the runs that are not finished.
    """
    finals = select.finals(select.over_last_epoch(select.declared(frame)))
    rows = []
    for network, of_network in finals.groupby("network", sort=False):
        finished = of_network[of_network["status"] == "finished"]
        errors = finished[[TRAIN, TEST]]
        means, spreads = errors.mean(), errors.std()
        rows.append(
            {
                "network": network,
                "parameters": of_network["parameters"].iloc[0],
                "n": len(finished),
                "epoch": finished["epoch"].max(),
                "running_mean": finished["train_error"].mean(),
                "train_mean": means[TRAIN],
                "train_deviation": spreads[TRAIN],
                "test_mean": means[TEST],
                "test_deviation": spreads[TEST],
                **_reference(of_network, means[TEST]),
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


def rows(errors: pd.DataFrame) -> list[list[str]]:
    """`final_errors` in per cent, with a header; the paper's only if it has any network."""
    with_paper, with_remarks = (errors["paper_source"] != "").any(), errors["remark"].any()
    found = []
    for row in errors.to_dict("records"):
        cells = {
            "network": row["network"],
            "parameters": f"{row['parameters']:,}",
            "n": str(row["n"]),
            "epoch": "" if pd.isna(row["epoch"]) else str(row["epoch"]),
            "train error %": mean_and_deviation(row["train_mean"], row["train_deviation"]),
            "test error %": mean_and_deviation(row["test_mean"], row["test_deviation"]),
        }
        if with_paper:
            cells |= _beside_paper(row)
        found.append(cells | ({"": row["remark"]} if with_remarks else {}))
    return table(found)


def _beside_paper(row: dict[Any, Any]) -> dict[str, str]:
    """The cells of the paper's test error, per cent, and of the band around it."""
    band = percent_range(row["band_low"], row["band_high"])
    return {"paper %": percent(row["paper_test"]), "band %": band, "in band": row["in_band"]}


def reference_rows(errors: pd.DataFrame) -> list[list[str]]:
    """The networks that table 6 or figure 6 has, in per cent beside its errors; with a header."""
    header = ["network", "n", "test %", "paper %", "band %", "in band", "running train %"]
    rows = [[*header, "paper %", "source"]]
    for row in errors[errors["paper_source"] != ""].to_dict("records"):
        test = mean_and_deviation(row["test_mean"], row["test_deviation"])
        running = [percent(row["running_mean"]), percent(row["paper_train"])]
        test_cells = [row["network"], str(row["n"]), test, *_beside_paper(row).values()]
        rows.append([*test_cells, *running, row["paper_source"]])
    return rows
