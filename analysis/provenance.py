"""Where each run comes from: code, versions, machine and time, for people."""

from pathlib import Path
from typing import Any

import pandas as pd

from analysis import select
from resnet_bench.records import RunDirectory

SHARED = ("precision", "device", "processor", "commit", "torch", "attempts")  # often all alike


def cells(frame: pd.DataFrame) -> list[list[str]]:
    """A row a run, refused and changed ones too; `frame` as from `load.runs`."""
    header = ["run", "status", "iteration", "training time", "precision", "device", "processor"]
    rows = [[*header, "commit", "torch", "started", "attempts"]]
    for run in select.finals(frame).to_dict("records"):
        name = f"{run['network']} seed {run['seed']}"
        if run["status"] == "missing":
            rows.append([name, "missing", *[""] * (len(rows[0]) - 2)])
            continue
        attempts = _attempts(run["directory"])
        rows.append(
            [
                name,
                run["status"] if not run["problem"] else f"{run['status']}, refused",
                "0" if pd.isna(run["iteration"]) else f"{run['iteration']:,}",
                duration(run["seconds_total"]),
                run["precision"],
                run["device"],
                run["processor"],
                run["commit"] + (" and changes" if run["dirty"] else ""),
                run["torch"],
                str(attempts[0]["started"])[:16].replace("T", " ") if attempts else "",
                str(len(attempts)),
            ]
        )
    return rows


def without_shared(rows: list[list[str]]) -> tuple[list[list[str]], str]:
    """`cells` without the columns in which all begun runs agree, and those as a sentence."""
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
    """Every set of versions that runs were made with: "python 3.11.7, torch 2.13.0, ..." """
    found: dict[str, None] = {}
    there = frame[frame["status"] != "missing"]
    for directory in there["directory"].unique():
        for attempt in _attempts(directory):
            pairs = sorted(attempt.get("versions", {}).items())
            found[", ".join(f"{package} {version}" for package, version in pairs)] = None
    return [words for words in found if words]


def duration(seconds: float) -> str:
    """ "1:02:03", or "2:03" under an hour"""
    minutes, left = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{left:02}" if hours else f"{minutes}:{left:02}"


def _attempts(directory: str) -> list[dict[str, Any]]:
    description = RunDirectory(Path(directory)).description()
    return description["attempts"] if description else []
