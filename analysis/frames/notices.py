"""Notices: what is wrong with runs, or differs among those that are averaged."""

import pandas as pd

from analysis.formatting import counted, listed
from analysis.frames import select

# The columns whose differences among a suite's runs are reported: column -> its name in plural.
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
    "dirty", "batch_stream", "sealed",
]  # fmt: skip


def notices(frame: pd.DataFrame) -> list[str]:
    """A sentence for each kind of problem with the runs, worst first; `frame` as from `load.runs`.

    Those of `of_runs`, then those of `of_machines`.
    """
    return of_runs(frame) + of_machines(frame)


def of_runs(frame: pd.DataFrame) -> list[str]:
    """What is wrong with runs: refused, diverged, partial, missing, or on other batches."""
    finals = _finals(frame)
    found = [
        f"Refused, in no figure or table: {run['network']} seed {run['seed']}: {run['problem']}."
        for run in finals[finals["problem"] != ""].to_dict("records")
    ]
    kept = finals[finals["problem"] == ""]
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
    for status, words in (("Diverged", diverged), ("Partial", partial), ("Missing", missing)):
        if words:
            found.append(f"{status}: {', '.join(words)}.")
    return found + [
        f"Not matched: networks saw different batches at seed {seed}."
        for seed in select.unmatched_seeds(kept[kept["status"] != "missing"])
    ]


def _finals(frame: pd.DataFrame) -> pd.DataFrame:
    """One row a run with the columns that notices need; networks of several suites named apart."""
    finals = select.finals(frame)[[*NOTED, *select.recipe_columns(frame)]]
    if finals["suite"].nunique() > 1:
        finals["network"] = finals["suite"] + "/" + finals["network"]
    return finals


def _by_network(runs: pd.DataFrame) -> list[str]:
    """["plain-20 seeds 1 and 2", "plain-32 seed 0"]"""
    return [
        f"{network} {'seeds' if len(seeds) > 1 else 'seed'} {listed(sorted(seeds))}"
        for network, seeds in runs.groupby("network", sort=False)["seed"]
    ]


def of_machines(frame: pd.DataFrame) -> list[str]:
    """How the making of the runs differs, by `ALIKE`; and what is not committed or not sealed."""
    finals, found = _finals(frame), []
    runs = finals[(finals["problem"] == "") & (finals["status"] != "missing")]
    for column, plural in ALIKE.items():
        counts = runs.groupby(column, sort=False).size()
        if len(counts) > 1 or any(" then " in str(value) for value in counts.index):
            values = (f"{value} ({counted(count, 'run')})" for value, count in counts.items())
            found.append(f"Different {plural}: {', '.join(values)}.")
    if dirty := int((runs["dirty"] == True).sum()):  # noqa: E712 - may hold None
        found.append(f"Uncommitted changes in code or suites of {dirty} of {len(runs)} runs.")
    ended = runs[runs["status"] != "partial"]
    if unsealed := int((~ended["sealed"].astype(bool)).sum()):
        found.append(
            f"Not sealed: {unsealed} of {counted(len(ended), 'run')} that ended, where a change"
            " would not be seen; python -m resnet_bench seal seals them as they are."
        )
    return found
