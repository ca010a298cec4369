"""Which rows of a frame from `load.runs` a figure or table is about."""

from typing import get_args

import numpy as np
import pandas as pd

from resnet_bench.errors import UserError
from resnet_bench.suites.network import Shortcut


def declared(frame: pd.DataFrame) -> pd.DataFrame:
    """The rows of a suite's experiments, variants among them, of every status.

    Without runs that differ from their suite file, and without those of a changed setting
    (`plain-56+learning_rate=0.05`), which are compared among themselves. Raises UserError if none
    is left.
    """
    kept = frame[(frame["problem"] == "") & (frame["changed"] == "")]
    if kept.empty:
        problems = ", ".join(sorted(set(frame["problem"]) - {""}))
        raise UserError(f"no run of the suite itself to show ({problems or 'only changed ones'})")
    return kept


def grid_networks(frame: pd.DataFrame) -> pd.DataFrame:
    """Those of `declared` that depth and shortcut name: plain-56, resnet-56-A.

    Variants (`resnet-56-A-preactivation`) are left out, so that no figure pools them with the
    network they are a variant of. Empty for a suite of named experiments alone.
    """
    kept = declared(frame)
    return kept[kept["variant"] == ""]


def main_networks(frame: pd.DataFrame) -> pd.DataFrame:
    """What a suite is about: its own networks, or its variants where it has no others."""
    networks = grid_networks(frame)
    return declared(frame) if networks.empty else networks


def has_own(frame: pd.DataFrame) -> bool:
    """Whether there is any run, begun or missing, that depth and shortcut name."""
    return not grid_networks(frame).empty


def curves(frame: pd.DataFrame) -> pd.DataFrame:
    """The rows that are records: without the empty ones of runs that have none."""
    there = frame[frame["iteration"].notna()]
    return there.astype({"epoch": int, "iteration": int})


def finals(frame: pd.DataFrame) -> pd.DataFrame:
    """One row a run: its last record, or its empty row."""
    return frame.drop_duplicates("directory", keep="last")


def finished(frame: pd.DataFrame) -> pd.DataFrame:
    """One row a finished run: its record at the last iteration."""
    return finals(frame[frame["status"] == "finished"])


def over_last_epoch(frame: pd.DataFrame) -> pd.DataFrame:
    """`frame` with `train_error` over an epoch, a fraction, at each finished run's last record.

    That record alone may cover a batch or two. The mean of the last records that together cover
    as many iterations as the longest epoch, weighted by the iterations of each.
    """
    done = curves(frame[frame["status"] == "finished"])
    errors = {of_run.index[-1]: _last_epoch(of_run) for _, of_run in done.groupby("directory")}
    ends = pd.Series(errors, dtype=float).reindex(frame.index)
    return frame.assign(train_error=ends.fillna(frame["train_error"]))


def _last_epoch(of_run: pd.DataFrame) -> float:
    covered = of_run["iteration"].diff().fillna(of_run["iteration"])
    epoch = covered.groupby(of_run["epoch"]).sum().max()
    kept = of_run["iteration"].iloc[-1] - of_run["iteration"] < epoch
    return float(np.average(of_run.loc[kept, "train_error"], weights=covered[kept]))


def depths(frame: pd.DataFrame) -> list[int]:
    return sorted(frame["depth"].unique().tolist())


def shortcuts(frame: pd.DataFrame) -> list[str]:
    """Those in the frame, in the order of every figure and table."""
    there = set(frame["shortcut"])
    return [shortcut for shortcut in get_args(Shortcut) if shortcut in there]


def recipe_columns(frame: pd.DataFrame) -> list[str]:
    """The columns that say on what data, and how, a network was trained."""
    return ["dataset", *(column for column in frame.columns if column.startswith("recipe."))]


def twin_columns(frame: pd.DataFrame) -> list[str]:
    """The columns in which networks agree that differ in their shortcuts alone."""
    of_shortcuts = ("shortcut", "zero_channels", "projection_norm")
    return [
        column
        for column in frame.columns
        if column.startswith("network.") and column.partition(".")[2] not in of_shortcuts
    ]


def unmatched_seeds(frame: pd.DataFrame) -> list[int]:
    """The seeds at which runs of one recipe saw different batches; there should be none."""
    keys = [*recipe_columns(frame), "seed"]
    streams = frame.groupby(keys, dropna=False, sort=False)["batch_stream"].nunique()
    return sorted(set(streams[streams > 1].index.get_level_values("seed")))


ERRORS = {"precise_train_error": "training error", "test_error": "test error"}


def varied(runs: pd.DataFrame, setting: str) -> pd.DataFrame:
    """The runs of those networks that have been run at more than one value of `setting`."""
    return runs[runs.groupby(["depth", "shortcut"])[setting].transform("nunique") > 1]
