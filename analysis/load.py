"""The records of runs as one tidy pandas frame.

    from analysis import load
    frame = load.runs("results/digits")

`COLUMNS` says what each column of the frame is.
"""

from pathlib import Path
from typing import Any, get_args

import pandas as pd

from analysis.formatting import results_setting
from analysis.frames import columns
from analysis.frames.columns import NETWORK_COLUMNS, RECIPE_COLUMNS, RUN_COLUMNS
from analysis.frames.integrity import inconsistency
from analysis.frames.layers import layers as layers  # the table of layers.csv, for notebooks
from resnet_bench.errors import UserError
from resnet_bench.paths import SUITES_FOLDER
from resnet_bench.records import epochs
from resnet_bench.records.epochs import EpochRecord
from resnet_bench.records.run_directory import RunDirectory
from resnet_bench.suites.network import Shortcut
from resnet_bench.suites.suite import load_suite

RECORD_COLUMNS = {
    "epoch": "1 is the first; there may be several records in one",
    "iteration": "iterations done; what tells a run's records apart",
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
FACT_COLUMNS = RUN_COLUMNS | NETWORK_COLUMNS | RECIPE_COLUMNS
COLUMNS = FACT_COLUMNS | RECORD_COLUMNS


def runs(*paths: str | Path, suites: Path = SUITES_FOLDER) -> pd.DataFrame:
    """One row a record, for every run of one or more suites' folders.

    A run without any record (missing, just begun, or diverged at once) has one row, with NA in
    the record's columns: nothing that the suite declares is left out. Missing runs are those of
    the suite's experiments at the seeds that are there. `COLUMNS` documents the columns; errors
    are fractions. Raises UserError for a folder without runs, or a damaged one.
    """
    known: list[dict[str, Any]] = []
    rows: list[EpochRecord | None] = []
    owners: list[int] = []
    for path in map(_named, paths):
        for fact, its_rows in _runs_of(path, suites):
            known.append(fact)
            rows += its_rows or [None]
            owners += [len(known) - 1] * max(1, len(its_rows))
    run_frame = pd.DataFrame(known, columns=list(FACT_COLUMNS)).iloc[owners]
    empty = (None,) * len(epochs.COLUMNS)
    cells = [empty if row is None else tuple(vars(row).values()) for row in rows]
    record_frame = pd.DataFrame(cells, columns=list(epochs.COLUMNS)).astype(float)
    frame = pd.concat([run_frame.reset_index(drop=True), record_frame], axis="columns")
    return frame.astype({"epoch": "Int64", "iteration": "Int64", "ended_at": "Int64"})


def _named(path: str | Path) -> Path:
    """The folder under the name that says which suite it is, which "." and ".." do not."""
    path = Path(path)
    return path.resolve() if path.name in ("", "..") else path


def _runs_of(path: Path, suites: Path) -> list[tuple[dict[str, Any], list[EpochRecord]]]:
    """(columns of the run, its records) of every run in a suite's folder, and the missing ones."""
    found = sorted(path.glob("*/seed-*/run.json"))
    if not found:
        if any(path.glob("seed-*/run.json")):
            raise UserError(f"{path} is an experiment's folder; its suite's is {path.parent}")
        setting = results_setting(path.parent)
        raise UserError(f"no runs in {path}; make sweep SUITE={path.name}{setting} makes them")
    try:
        suite = load_suite(path.name, suites)
    except UserError:
        suite = None  # another's results: read them, but there is nothing to hold them against
    result = []
    for run_json in found:
        directory = RunDirectory(run_json.parent)
        fact, its_rows = columns.run_columns(directory, suite), directory.rows()
        fact["problem"] = fact["problem"] or inconsistency(directory, fact, its_rows)
        result.append((fact, its_rows))
    if suite is not None:
        there = [fact for fact, _ in result]
        result += [(fact, []) for fact in columns.missing_run_columns(suite, path, there)]
    names = [experiment.network_name for experiment in suite.experiments] if suite else []
    return sorted(result, key=lambda pair: _order(pair[0], names))


def _order(fact: dict[str, Any], names: list[str]) -> tuple[Any, ...]:
    """Networks by shortcut and depth, then variants as the suite file lists them in `names`."""
    variant = fact["variant"]
    return (
        variant != "",
        names.index(variant) if variant in names else len(names),
        get_args(Shortcut).index(fact["shortcut"]),
        fact["depth"],
        fact["network"],
        fact["seed"],
    )
