"""Selections of rows from the frame of `load.runs`, and of its columns."""

from typing import get_args

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from resnet_bench.errors import UserError
from resnet_bench.suites.network import Shortcut

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]
UNREAD = ("missing", "damaged")  # runs with these statuses have no records in the frame


def declared(frame: pd.DataFrame) -> pd.DataFrame:
    """The rows of a suite's experiments, variants included, of every status.

    Left out are runs that differ from their suite file (refused) and those of a changed setting
    (`plain-56+learning_rate=0.05`). Raises UserError if no row remains.
    """
    kept = _where(frame, (frame["problem"] == "") & (frame["changed"] == ""))
    if kept.empty:
        problems = ", ".join(sorted(set(frame["problem"]) - {""}))
        raise UserError(f"no run of the suite itself to show ({problems or 'only changed ones'})")
    return kept


def sound(frame: pd.DataFrame) -> pd.DataFrame:
    """The rows of runs that are not refused."""
    return _where(frame, frame["problem"] == "")


def _where(frame: pd.DataFrame, kept: pd.Series) -> pd.DataFrame:
    """The rows that are `kept`; without a copy if all are: it may be a gigabyte."""
    return frame if kept.all() else frame[kept]


def grid_networks(frame: pd.DataFrame) -> pd.DataFrame:
    """The rows of `declared` that are no variants: plain-56, resnet-56-A.

    Without variants (`resnet-56-A-preactivation`), no figure pools them with the network that they
    vary. Empty for a suite of named experiments alone.
    """
    kept = declared(frame)
    return _where(kept, kept["variant"] == "")


def main_networks(frame: pd.DataFrame) -> pd.DataFrame:
    """The rows of `grid_networks`, or of all experiments in a suite that has none."""
    networks = grid_networks(frame)
    return declared(frame) if networks.empty else networks


def has_own(frame: pd.DataFrame) -> bool:
    """Whether the suite has any grid network, begun or missing."""
    return not grid_networks(frame).empty


def curves(frame: pd.DataFrame) -> pd.DataFrame:
    """The rows that are records, without the empty rows of runs that have none yet."""
    records = _where(frame, frame["iteration"].notna())
    return records.astype({"epoch": int, "iteration": int})


def finals(frame: pd.DataFrame) -> pd.DataFrame:
    """One row a run: its last record, or its empty row if it has none."""
    return frame.drop_duplicates("directory", keep="last")


def finished(frame: pd.DataFrame) -> pd.DataFrame:
    """One row a finished run: its record at the last iteration."""
    return finals(_where(frame, frame["status"] == "finished"))


def diverged(frame: pd.DataFrame) -> pd.DataFrame:
    """One row a diverged run: its last record, or its empty row if it has none."""
    return finals(frame[frame["status"] == "diverged"])


def over_last_epoch(frame: pd.DataFrame) -> pd.DataFrame:
    """`frame` with `train_error` averaged over an epoch at each finished run's last record.

    The last record alone may cover a batch or two. Averaged are the last records that together
    cover as many iterations as the longest epoch, weighted by their iterations.
    """
    of_finished = (frame["status"] == "finished") & frame["iteration"].notna()
    columns = ["epoch", "iteration", "train_error"]
    records = curves(_where(frame[["directory", *columns]], of_finished))
    epochs, iterations, errors = (records[column].to_numpy() for column in columns)
    places = np.flatnonzero(of_finished)
    averaged = frame["train_error"].to_numpy(copy=True)
    for rows in records.groupby("directory", sort=False).indices.values():
        averaged[places[rows[-1]]] = _last_epoch(epochs[rows], iterations[rows], errors[rows])
    return frame.assign(train_error=averaged)


def _last_epoch(epochs: Ints, iterations: Ints, errors: Floats) -> float:
    """The mean running training error, a fraction, over the last epoch of one run's records."""
    covered = np.diff(iterations, prepend=0)
    epoch = np.bincount(epochs, covered).max()
    kept = iterations[-1] - iterations < epoch
    return float(np.average(errors[kept], weights=covered[kept]))


def depths(frame: pd.DataFrame) -> list[int]:
    return sorted(frame["depth"].unique().tolist())


def shortcuts(frame: pd.DataFrame) -> list[str]:
    """The shortcuts in the frame, in the order of every figure and table."""
    found = set(frame["shortcut"].unique())
    return [shortcut for shortcut in get_args(Shortcut) if shortcut in found]


def depth_pair(runs: pd.DataFrame) -> tuple[int, int] | None:
    """(shallow, deep): 20 and 56 if both are there, else the extremes; None for one depth."""
    found = depths(runs)
    if len(found) < 2:
        return None
    return (20, 56) if {20, 56} <= set(found) else (found[0], found[-1])


def residual_kind(runs: pd.DataFrame) -> str:
    """The shortcut of the residual networks that plain ones are compared with: A if there is."""
    kinds = [shortcut for shortcut in shortcuts(runs) if shortcut != "none"]
    return "A" if "A" in kinds or not kinds else kinds[0]


def recipe_columns(frame: pd.DataFrame) -> list[str]:
    """The columns of the data set and the recipe."""
    return ["dataset", *(column for column in frame.columns if column.startswith("recipe."))]


def twin_columns(frame: pd.DataFrame) -> list[str]:
    """The columns of cures and of the network, without those of its shortcuts."""
    of_shortcuts = ("shortcut", "zero_channels", "projection_norm")
    return ["cures"] + [
        column
        for column in frame.columns
        if column.startswith("network.") and column.partition(".")[2] not in of_shortcuts
    ]


def unmatched_seeds(frame: pd.DataFrame) -> list[int]:
    """The seeds at which runs of one recipe saw different batches: none, if all is well."""
    keys = [*recipe_columns(frame), "seed"]
    streams = frame.groupby(keys, dropna=False, sort=False)["batch_stream"].nunique()
    return sorted(set(streams[streams > 1].index.get_level_values("seed")))


ERRORS = {"precise_train_error": "training error", "test_error": "test error"}


def varied(runs: pd.DataFrame, setting: str) -> pd.DataFrame:
    """The runs of those networks that have been run at more than one value of `setting`."""
    return runs[runs.groupby(["depth", "shortcut"])[setting].transform("nunique") > 1]
