"""Provenance of each run: code, versions, machine and time."""

from pathlib import Path
from typing import Any

import pandas as pd

from analysis.formatting import counted, duration, listed, rounded_time, table
from analysis.frames import select
from analysis.frames.witnesses import Witnesses
from resnet_bench.records.run_directory import RunDirectory

PRECISIONS = {"ieee": "IEEE float32", "tf32": "float32 with TF32", "bf16": "bfloat16"}
SEEDS = 3  # the least that a finding rests on
SHARED = ("precision", "device", "processor", "commit", "torch", "attempts")  # named once if equal


def rows(frame: pd.DataFrame) -> list[list[str]]:
    """A header and a row a run, refused and changed ones too; `frame` as from `load.runs`."""
    found = []
    for run in select.finals(frame).to_dict("records"):
        name = f"{run['network']} seed {run['seed']}"
        if run["status"] == "missing":
            found.append({"run": name, "status": "missing"})
            continue
        attempts = _attempts(run["directory"])
        row = {
            "run": name,
            "status": run["status"] if not run["problem"] else f"{run['status']}, refused",
            "iteration": "0" if pd.isna(run["iteration"]) else f"{run['iteration']:,}",
            "training time": duration(run["seconds_total"]),
            "precision": run["precision"],
            "device": run["device"],
            "processor": run["processor"],
            "commit": run["commit"] + (" and changes" if run["dirty"] else ""),
            "torch": run["torch"],
            "started": str(attempts[0]["started"])[:16].replace("T", " ") if attempts else "",
            "attempts": str(len(attempts)),
        }
        found.append(row)
    return table(found)


def sentence(frame: pd.DataFrame) -> str:
    """How the finished runs were made, in a sentence; `frame` as from `load.runs`.

    One more before it if networks are missing, or if there are fewer seeds than a finding needs.
    """
    runs = select.finished(frame[frame["problem"] == ""])
    if runs.empty:
        return "No run is finished."
    commits, times = runs["commit"].unique(), runs["seconds_total"]
    alone = (times == runs["seconds_share"]).all()
    precisions = [PRECISIONS[precision] for precision in runs["precision"].unique()]
    changes = " and changes" if runs["dirty"].any() else ""
    return (
        f"{_preliminary(frame)}{len(runs)} runs, {counted(runs['seed'].nunique(), 'seed')}, in"
        f" {listed(precisions)} on"
        f" {listed(runs['processor'].unique())} with torch {listed(runs['torch'].unique())}, at"
        f" commit{'s' if len(commits) > 1 else ''} {listed(commits)}{changes}. Training, without"
        f" evaluation, took {rounded_time(times.min())} to {rounded_time(times.max())} a"
        f" {'run' if alone else 'group of runs side by side'},"
        f" {rounded_time(runs['seconds_share'].sum())} in all."
    )


def _preliminary(frame: pd.DataFrame) -> str:
    """ "Preliminary: 4 of 12 networks, 1 seed. ", or "" if all networks have three seeds."""
    runs = select.finals(select.declared(frame))
    ended = runs[runs["status"].isin(("finished", "diverged")) & (runs["problem"] == "")]
    seeds = ended.groupby("network")["seed"].nunique()
    if len(seeds) == runs["network"].nunique() and seeds.min() >= SEEDS:
        return ""
    fewest = counted(int(seeds.min()), "seed") + (" or more" if seeds.nunique() > 1 else "")
    return f"Preliminary: {len(seeds)} of {runs['network'].nunique()} networks, {fewest}. "


def of_witnesses(data: Witnesses) -> str:
    """How witnesses were made, and how many were trained further, in a sentence."""
    trained_on = data.curves.drop_duplicates(["source", "deep", "seed", "learning_rate"])
    commits, times = data.points["commit"].unique(), len(trained_on)
    on = f", trained on {'once' if times == 1 else f'{times} times in all'}" if times else ""
    count = f"{len(data.points)} witness{'es' if len(data.points) > 1 else ''}"
    return f"{count}{on}, at commit{'s' if len(commits) > 1 else ''} {listed(commits)}."


def without_shared(rows: list[list[str]]) -> tuple[list[list[str]], str]:
    """`rows` without the columns that are equal for all begun runs, and those as a sentence."""
    header, *body = rows
    begun = [row for row in body if row[header.index("status")] != "missing"]
    same = {
        place: begun[0][place]
        for place, name in enumerate(header)
        if name in SHARED and len({row[place] for row in begun}) == 1
    }
    left = [[cell for place, cell in enumerate(row) if place not in same] for row in rows]
    words = ", ".join(f"{header[place]} {value}" for place, value in same.items())
    return left, f"The same for all runs: {words}." if words else ""


def versions(frame: pd.DataFrame) -> list[str]:
    """Each different set of versions of the runs: "python 3.11.7, torch 2.13.0, ..." """
    found: dict[str, None] = {}
    there = frame[frame["status"] != "missing"]
    for directory in there["directory"].unique():
        for attempt in _attempts(directory):
            pairs = sorted(attempt.get("versions", {}).items())
            found[", ".join(f"{package} {version}" for package, version in pairs)] = None
    return [words for words in found if words]


def _attempts(directory: str) -> list[dict[str, Any]]:
    description = RunDirectory(Path(directory)).description()
    return description["attempts"] if description else []
