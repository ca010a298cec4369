"""Which rows of a frame from `load.runs` a figure or table is about."""

import pandas as pd

from resnet_bench.errors import UserError

KEYS = ["suite", "network", "seed"]  # what names a run


def own(frame: pd.DataFrame) -> pd.DataFrame:
    """The rows of the suite's own experiments, of every status.

    Without runs that differ from their suite file, and without those of a changed setting
    (`plain-56+learning_rate=0.05`), which are other experiments. Raises UserError if none is left.
    """
    kept = frame[(frame["problem"] == "") & (frame["changed"] == "")]
    if kept.empty:
        problems = ", ".join(sorted(set(frame["problem"]) - {""}))
        raise UserError(f"no run of the suite itself to show ({problems or 'only changed ones'})")
    return kept


def curves(frame: pd.DataFrame) -> pd.DataFrame:
    """The rows that are records: without the empty ones of runs that have none."""
    there = frame[frame["iteration"].notna()]
    return there.astype({"epoch": int, "iteration": int})


def finals(frame: pd.DataFrame) -> pd.DataFrame:
    """One row a run: its last record, or its empty row."""
    return frame.drop_duplicates(KEYS, keep="last")


def finished(frame: pd.DataFrame) -> pd.DataFrame:
    """One row a finished run: its record at the last iteration."""
    return finals(frame[frame["status"] == "finished"])


def depths(frame: pd.DataFrame) -> list[int]:
    return sorted(frame["depth"].unique().tolist())


def shortcuts(frame: pd.DataFrame) -> list[str]:
    """Those in the frame, in the order of every figure and table."""
    there = set(frame["shortcut"])
    return [shortcut for shortcut in ("none", "A", "B", "C") if shortcut in there]
