"""How far runs are, in words: for above the live figure."""

from datetime import datetime
from pathlib import Path

import pandas as pd

from analysis.formatting import duration
from analysis.frames import select
from resnet_bench.records.run_directory import RunDirectory

LATEST = 5  # records that the time left is estimated from
LISTED = 6  # runs with a line each; the others are counted


def heading(runs: pd.DataFrame) -> list[str]:
    """What the runs are and how many have ended, then a line for each run that is not finished.

    `runs` are rows as from `load.runs`, at least one.
    """
    finals = select.finals(runs)
    title = finals["suite"].iloc[0]
    if finals["network"].nunique() == 1:
        title += f"/{finals['network'].iloc[0]}"
    if len(finals) == 1:
        return [f"{title} seed {finals['seed'].iloc[0]}", state(runs), *_latest(runs)]
    counts = finals["status"].value_counts()
    statuses = ("finished", "diverged", "partial", "damaged", "missing")
    words = [f"{counts[status]} {status}" for status in statuses if status in counts]
    lines = [
        f"{run['network'].iloc[0]} seed {run['seed'].iloc[0]}: {state(run)}"
        for status in ("damaged", "diverged", "partial")
        for _, run in runs[runs["status"] == status].groupby("directory", sort=False)
    ]
    if len(lines) > LISTED:
        lines[LISTED - 1 :] = [f"and {len(lines) - LISTED + 1} more"]
    return [f"{title}: {', '.join(words)}", *lines]


def state(run: pd.DataFrame) -> str:
    """Its iteration, speed, training time left, and when its last record was written."""
    last, records = run.iloc[-1], select.curves(run)
    if last["status"] == "damaged":
        return str(last["problem"])
    done = last["ended_at"] if pd.notna(last["ended_at"]) else last["iteration"]
    done = 0 if pd.isna(done) else int(done)
    place = f"iteration {done:,} of {last['recipe.iterations']:,}"
    if last["status"] != "partial":
        place = f"{last['status']} at {place}"
    if records.empty:
        return place if last["status"] == "diverged" else f"{place}, before its first record"
    words = [place, f"{last['images_per_second']:,.0f} images/s"]
    if last["status"] == "partial":
        words.append(f"about {duration(_seconds_left(records))} left")
        written = datetime.fromtimestamp(
            RunDirectory(Path(last["directory"])).epochs_csv.stat().st_mtime
        )
        words.append(f"last record {written:%Y-%m-%d %H:%M}")
    return ", ".join(words)


def _latest(run: pd.DataFrame) -> list[str]:
    """["epoch 7: training loss 1.93, training error 71.2%, test error 69.4%"]; [] of no record."""
    return [
        f"epoch {last['epoch']}: training loss {last['train_loss']:.3g},"
        f" training error {last['train_error']:.1%}, test error {last['test_error']:.1%}"
        for last in select.curves(run).tail(1).to_dict("records")
    ]


def _seconds_left(records: pd.DataFrame) -> float:
    """Seconds of training to the end at the speed of the latest records, without evaluation."""
    covered = records["iteration"].diff().fillna(records["iteration"])
    pace = records["seconds"].tail(LATEST).sum() / covered.tail(LATEST).sum()
    last = records.iloc[-1]
    return float(pace * (last["recipe.iterations"] - last["iteration"]))
