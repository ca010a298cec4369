"""Whether runs are what their suite file declares, and alike enough to be averaged."""

import dataclasses
from collections.abc import Iterable, Mapping
from typing import Any

import pandas as pd

from analysis import select
from resnet_bench.errors import UserError
from resnet_bench.experiments import Experiment, Suite, find_experiment
from resnet_bench.records import EpochRecord, RunDirectory

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


def declared_experiment(suite: Suite, network_name: str) -> Experiment | None:
    """The experiment that the suite file declares under this name; None if there is none."""
    for experiment in suite.experiments:
        if experiment.network_name == network_name:
            return experiment
    try:
        found = find_experiment(f"{suite.name}/{network_name}")
    except UserError:
        return None
    return found if found.network_name == network_name else None  # another name of the same


def problem_of(description: dict[str, Any], suite: Suite, folder_name: str) -> str:
    """How a run differs from what its suite file declares, in words; "" if it does not."""
    identity = description["identity"]
    if identity["suite"] != folder_name:
        return f"belongs to the suite {identity['suite']}"
    experiment = declared_experiment(suite, identity["experiment"].partition("/")[2])
    if experiment is None:
        return f"is no experiment of the suite file {suite.name}.toml"
    parts = [
        f"{part}.{key} is {identity[part].get(key)!r}, the suite file says {wanted!r}"
        for part in ("network", "recipe")
        for key, wanted in experiment.identity()[part].items()
        if identity[part].get(key) != wanted
    ]
    if identity["dataset"] != experiment.dataset.name:
        parts.append(f"dataset is {identity['dataset']}, not {experiment.dataset.name}")
    declared, executed = experiment.recipe.precision, identity["precision"]
    on_cpu = all(attempt["device"] == "cpu" for attempt in description["attempts"])
    # A CPU has no tf32: there float32 is exact, and the runner says so in run.json.
    if executed != declared and not (declared == "tf32" and executed == "ieee" and on_cpu):
        parts.append(f"ran in {executed}, the suite file says {declared}")
    return "; ".join(parts)


def misfit_of(directory: RunDirectory, fact: dict[str, Any], rows: list[EpochRecord]) -> str:
    """How a run's files differ from their place or among each other, in words; "" if not.

    A copy of a run, or one whose records were cut or changed, counts as nobody's evidence.
    """
    folder = f"{directory.path.parent.name}/{directory.path.name}"
    if folder != f"{fact['network']}/seed-{fact['seed']}":
        return f"lies in the folder {folder}"
    summary = directory.summary()
    last = dataclasses.asdict(rows[-1]) if rows else {}
    if summary is None or _equal(last, summary.final):
        return ""
    return f"its last record ({_at(last)}) is not that of its summary.json ({_at(summary.final)})"


def _equal(record: Mapping[str, Any], other: Mapping[str, Any]) -> bool:
    """Whether all values are equal, or no numbers on both sides."""
    pairs = [(record[key], other.get(key)) for key in record]
    return record.keys() == other.keys() and all(a == b or (a != a and b != b) for a, b in pairs)


def _at(record: Mapping[str, Any]) -> str:
    return f"iteration {record['iteration']}" if record else "none"


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
