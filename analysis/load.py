"""The records of runs as one tidy pandas frame.

    from analysis import load
    frame = load.runs("results/digits")

`COLUMNS` says what each column of the frame is.
"""

from pathlib import Path
from typing import Any

import pandas as pd

from analysis.checks import problem_of
from resnet_bench import records
from resnet_bench.datasets import DATASETS
from resnet_bench.errors import UserError
from resnet_bench.experiments import SUITES_FOLDER, Suite, load_suite
from resnet_bench.records import EpochRecord, RunDirectory
from resnet_bench.sizes import network_size
from resnet_bench.specification import Network, Recipe, validate

RUN_COLUMNS = {
    "suite": "the suite's name: experiments/<suite>.toml",
    "dataset": "digits, cifar10, ...",
    "network": "plain-56, resnet-56-A; with +key=value for a changed setting",
    "changed": 'the settings changed, such as "learning_rate=0.05"; "" for none',
    "family": "plain or resnet",
    "depth": "weighted layers, 6n+2",
    "shortcut": "none, A, B or C",
    "zero_channels": "option A: where a block's new channels go, at the end or on both sides",
    "seed": "of weights and batches; one seed means the same batches for every network",
    "status": "finished, diverged, partial (not done yet) or missing (not begun)",
    "ended_at": "iteration at which it finished, or diverged; NA while it has not ended",
    "problem": 'how it differs from its suite file; "" if not. Figures leave such runs out',
    "parameters": "trainable numbers",
    "multiply_adds": "of one image's forward pass",
    "precision": "as executed: ieee, tf32 or bf16",
    "threads": "of the process",
    "device": "as executed; 'a then b' where attempts differ",
    "processor": "the same",
    "commit": "of the code, shortened; the same",
    "dirty": "whether the code had uncommitted changes",
    "torch": "version",
    "seconds_total": "training time of its group so far, s, without evaluation",
    "batch_stream": "digest of the batches; equal = the same images in the same order",
    "initial_weights": "digest of the weights before training",
    "initial_shared_weights": "the same without the shortcuts' own",
    "directory": "the run's folder",
}
RECIPE_COLUMNS = {f"recipe.{key}": f"the recipe's {key}" for key in Recipe.model_fields}
RECORD_COLUMNS = {
    "epoch": "1 is the first",
    "iteration": "iterations done; a record is written at the end of an epoch",
    "learning_rate": "the last one used",
    "train_loss": "running: train mode, augmented images",
    "train_error": "running; all errors are fractions; what the paper plots",
    "clean_train_error": "evaluation mode, un-augmented images; NaN where not measured",
    "precise_train_error": "the same with re-estimated batch norm statistics",
    "test_loss": "",
    "test_error": "the headline is the last epoch's, never the best",
    "precise_test_error": "with re-estimated batch norm statistics",
    "validation_loss": "on held-out training images; NaN where there are none",
    "validation_error": "the same",
    "seconds": "training time since the previous record, s",
    "images_per_second": "of this run",
}
COLUMNS = RUN_COLUMNS | RECIPE_COLUMNS | RECORD_COLUMNS


def runs(*paths: str | Path, suites: Path = SUITES_FOLDER) -> pd.DataFrame:
    """One row an epoch record, for every run of one or more suites' folders.

    A run without any record (missing, just begun, or diverged at once) has one row, with NA in
    the record's columns: nothing that the suite declares is left out. Missing runs are those of
    the suite's networks at the seeds that are there. `COLUMNS` documents the columns; errors are
    fractions. Raises UserError for a folder without runs, or a damaged one.
    """
    facts: list[dict[str, Any]] = []
    rows: list[EpochRecord | None] = []
    owners: list[int] = []
    for path in map(Path, paths):
        for fact, its_rows in _runs_of(path, suites):
            facts.append(fact)
            rows += its_rows or [None]
            owners += [len(facts) - 1] * max(1, len(its_rows))
    run_frame = pd.DataFrame(facts, columns=list(RUN_COLUMNS | RECIPE_COLUMNS)).iloc[owners]
    empty = (None,) * len(records.COLUMNS)
    cells = [empty if row is None else tuple(vars(row).values()) for row in rows]
    record_frame = pd.DataFrame(cells, columns=list(records.COLUMNS)).astype(float)
    frame = pd.concat([run_frame.reset_index(drop=True), record_frame], axis="columns")
    return frame.astype({"epoch": "Int64", "iteration": "Int64", "ended_at": "Int64"})


def _runs_of(path: Path, suites: Path) -> list[tuple[dict[str, Any], list[EpochRecord]]]:
    """(columns of the run, its records) of every run in a suite's folder, and the missing ones."""
    found = sorted(path.glob("*/seed-*/run.json"))
    if not found:
        raise UserError(f"no runs in {path}; make sweep SUITE={path.name} makes them")
    try:
        suite = load_suite(path.name, suites)
    except UserError:
        suite = None  # another's results: read them, but there is nothing to hold them against
    result = []
    for run_json in found:
        directory = RunDirectory(run_json.parent)
        result.append((_facts(directory, suite), directory.rows()))
    if suite is not None:
        result += [(fact, []) for fact in _missing(suite, path, [fact for fact, _ in result])]
    return sorted(result, key=lambda pair: _order(pair[0]))


def _order(fact: dict[str, Any]) -> tuple[Any, ...]:
    return (
        ["none", "A", "B", "C"].index(fact["shortcut"]),
        fact["depth"],
        fact["network"],
        fact["seed"],
    )


def _facts(directory: RunDirectory, suite: Suite | None) -> dict[str, Any]:
    """The run's columns, from its run.json and summary.json."""
    description = directory.description()
    summary = directory.summary()
    try:
        assert description is not None  # the caller found it
        identity, attempts = description["identity"], description["attempts"]
        name = identity["experiment"].partition("/")[2]
        facts = _specified(
            identity["suite"], name, identity["dataset"], identity["network"], identity["recipe"]
        )
        facts |= {
            "seed": identity["seed"],
            "status": directory.status(),
            "ended_at": summary.iteration if summary else None,
            "problem": problem_of(description, suite, directory.path.parts[-3]) if suite else "",
            "precision": identity["precision"],
            "threads": identity["threads"],
            "device": _of_attempts(attempts, "device"),
            "processor": _of_attempts(attempts, "processor"),
            "commit": _of_attempts(
                [a | {"commit": str(a["commit"] or "unknown")[:10]} for a in attempts], "commit"
            ),
            "dirty": any(attempt["dirty"] for attempt in attempts),
            "torch": _of_attempts([attempt["versions"] for attempt in attempts], "torch"),
            "seconds_total": sum(attempt["seconds"] for attempt in attempts),
            "directory": str(directory.path),
            **identity["digests"],
        }
    except (KeyError, TypeError, AttributeError) as error:
        raise UserError(f"{directory.run_json}: not a run's description: {error!r}") from error
    return facts


def _specified(
    suite: str, name: str, dataset: str, network: dict[str, Any], recipe: dict[str, Any]
) -> dict[str, Any]:
    """The columns that follow from what an experiment is."""
    specification = validate(Network, network, name)
    if dataset not in DATASETS:
        raise UserError(f"{suite}/{name}: unknown data set {dataset!r}")
    size = network_size(specification, DATASETS[dataset])
    return {
        "suite": suite,
        "dataset": dataset,
        "network": name,
        "changed": name.partition("+")[2],
        "family": specification.family,
        "depth": specification.depth,
        "shortcut": specification.shortcut,
        "zero_channels": specification.zero_channels,
        "parameters": size.parameters,
        "multiply_adds": size.multiply_adds,
        **{
            f"recipe.{key}": tuple(value) if isinstance(value, list) else value
            for key, value in recipe.items()
        },
    }


def _missing(suite: Suite, path: Path, facts: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The columns of the runs that the suite declares and that are not there."""
    own = [fact for fact in facts if not fact["changed"]]
    there = {(fact["network"], fact["seed"]) for fact in own}
    return [
        _specified(
            suite.name,
            experiment.network_name,
            suite.dataset.name,
            experiment.network.model_dump(),
            experiment.identity()["recipe"],
        )
        | {
            "seed": seed,
            "status": "missing",
            "problem": "",
            "directory": str(path / experiment.network_name / f"seed-{seed}"),
        }
        for experiment in suite.experiments
        for seed in sorted({fact["seed"] for fact in own})
        if (experiment.network_name, seed) not in there
    ]


def _of_attempts(attempts: list[dict[str, Any]], key: str) -> str:
    """The value that all attempts of a run share, or every one in turn: "cpu then cuda"."""
    return " then ".join(dict.fromkeys(str(attempt[key]) for attempt in attempts))
