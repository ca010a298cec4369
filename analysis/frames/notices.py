"""Whether runs are what their suite file declares, and alike enough to be averaged."""

from collections.abc import Iterable
from typing import Any

import pandas as pd

from analysis.frames import select

# What may not differ among the runs of a suite without being said: column -> words.
ALIKE = {
    "commit": "commits",
    "device": "devices",
    "processor": "processors",
    "precision": "precisions",
    "threads": "numbers of threads",
    "torch": "versions of torch",
}
NOTED = [
    *ALIKE, "suite", "network", "seed", "status", "problem", "changed", "ended_at", "iteration",
    "dirty", "batch_stream",
]  # fmt: skip


def notices(frame: pd.DataFrame) -> list[str]:
    """What a reader of the figures must know about the runs: a sentence each, worst first.

    `frame` as from `load.runs`: refused runs, diverged, partial and missing ones, and differences
    of commit, device, precision among the runs that are averaged.
    """
    one_each = select.finals(frame)[[*NOTED, *select.recipe_columns(frame)]]
    if one_each["suite"].nunique() > 1:
        one_each["network"] = one_each["suite"] + "/" + one_each["network"]
    found = [
        f"Refused, in no figure or table: {run['network']} seed {run['seed']}: {run['problem']}."
        for run in one_each[one_each["problem"] != ""].to_dict("records")
    ]
    kept = one_each[one_each["problem"] == ""]
    diverged = [
        f"{run['network']} seed {run['seed']} at iteration {run['ended_at']}"
        for run in kept[kept["status"] == "diverged"].to_dict("records")
    ]
    partial = [
        f"{run['network']} seed {run['seed']} ({run['iteration']} of {run['recipe.iterations']}"
        " iterations)"
        for run in kept.fillna({"iteration": 0})[kept["status"] == "partial"].to_dict("records")
    ]
    missing = _by_network(kept[kept["status"] == "missing"])
    for word, them in (("Diverged", diverged), ("Partial", partial), ("Missing", missing)):
        if them:
            found.append(f"{word}: {', '.join(them)}.")
    return found + _differences(kept[kept["status"] != "missing"])


def _by_network(runs: pd.DataFrame) -> list[str]:
    """["plain-20 seeds 1 and 2", "plain-32 seed 0"]"""
    return [
        f"{network} seed{'s' if len(seeds) > 1 else ''} {' and '.join(map(str, sorted(seeds)))}"
        for network, seeds in runs.groupby("network", sort=False)["seed"]
    ]


def _differences(runs: pd.DataFrame) -> list[str]:
    """Differences of provenance among runs that are to be compared, a sentence each."""
    found = []
    for column, words in ALIKE.items():
        counts = runs.groupby(column, sort=False).size()
        if len(counts) > 1 or any(" then " in str(value) for value in counts.index):
            found.append(f"Different {words}: {_counted(counts.items())}.")
    if dirty := int((runs["dirty"] == True).sum()):  # noqa: E712 - may hold None
        found.append(f"Uncommitted changes in code or suites of {dirty} of {len(runs)} runs.")
    for seed in select.unmatched_seeds(runs):
        found.append(f"Not matched: networks saw different batches at seed {seed}.")
    return found


def _counted(counts: Iterable[tuple[Any, int]]) -> str:
    return ", ".join(f"{value} ({count} run{'s' if count > 1 else ''})" for value, count in counts)
