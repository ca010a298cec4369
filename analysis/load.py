"""The records of runs as one tidy pandas frame.

    from analysis import load
    frame = load.runs("results/digits")

`COLUMNS` describes the columns of the frame.
"""

from pathlib import Path
from typing import Any, get_args

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from analysis.formatting import results_setting
from analysis.frames import columns
from analysis.frames.columns import NETWORK_COLUMNS, RECIPE_COLUMNS, RUN_COLUMNS
from analysis.frames.layers import layers as layers  # the table of layers.csv, for notebooks
from resnet_bench.errors import UserError
from resnet_bench.records.epochs import EpochRecord
from resnet_bench.records.files import find_paths
from resnet_bench.records.run_directory import RunDirectory, run_folders
from resnet_bench.suites.network import Shortcut
from resnet_bench.suites.suite import Suite, load_suite

RECORD_COLUMNS = {
    "epoch": "1 is the first; there may be several records in one",
    "iteration": "iterations done; unique among a run's records",
    "learning_rate": "the last one used",
    "train_loss": "running: train mode, augmented images",
    "train_error": "running; all errors are fractions; what the paper plots",
    "clean_train_error": "evaluation mode, un-augmented images; NaN where not measured",
    "precise_train_error": "the same with re-estimated batch norm statistics",
    "test_loss": "evaluation mode",
    "test_error": "evaluation mode; reported is the last record's, never the best",
    "precise_test_error": "with re-estimated batch norm statistics",
    "validation_loss": "on held-out training images; NaN where there are none",
    "validation_error": "on held-out training images; NaN where there are none",
    "seconds": "training time since the previous record, s",
    "images_per_second": "of this run",
}
Records = NDArray[np.float64]  # (records, columns)
FACT_COLUMNS = RUN_COLUMNS | NETWORK_COLUMNS | RECIPE_COLUMNS
COLUMNS = FACT_COLUMNS | RECORD_COLUMNS


def runs(*paths: str | Path, suites: Path | None = None) -> pd.DataFrame:
    """One row a record, for every run of one or more suites' folders.

    A run without any record (missing, just begun, or diverged at once) has one row, with NA in
    the record's columns. Missing runs are those of the suite's experiments at each seed at which
    several of them were begun. `COLUMNS` documents the columns; errors are fractions. Raises
    UserError for a folder without runs, and for folders with the same run.
    """
    found = [run for path in map(_named, paths) for run in _runs_of(path, suites)]
    _refuse_twice([fact for fact, _ in found])
    facts = pd.DataFrame([fact for fact, _ in found], columns=list(FACT_COLUMNS))
    facts = facts.take(np.repeat(np.arange(len(found)), [len(records) for _, records in found]))
    records = np.concatenate([each for _, each in found])
    by_column = dict(zip(RECORD_COLUMNS, records.T, strict=True))
    frame = facts.reset_index(drop=True).assign(**by_column)  # pd.concat would copy a gigabyte
    return frame.astype({"epoch": "Int64", "iteration": "Int64", "ended_at": "Int64"})


def _refuse_twice(facts: list[dict[str, Any]]) -> None:
    """Raises UserError if a run is there twice: it would count as two seeds."""
    seen: dict[tuple[Any, ...], Any] = {}
    for fact in facts:
        run = fact["suite"], fact["network"], fact["seed"]
        if run in seen and not fact["problem"]:
            raise UserError(
                f"{seen[run]} and {fact['directory']} are the same run: load the folders apart, or"
                " compare them with analysis.compare"
            )
        seen[run] = fact["directory"]


def _named(path: str | Path) -> Path:
    """The folder by a path that ends in the suite's name; resolves "." and ".."."""
    path = Path(path)
    return path.resolve() if path.name in ("", "..") else path


def _runs_of(path: Path, suites: Path | None) -> list[tuple[dict[str, Any], Records]]:
    """(columns, records) of every run in a suite's folder, and of the missing ones."""
    found = run_folders(path)
    if not found:
        if find_paths(path, "seed-*/run.json"):
            raise UserError(f"{path} is an experiment's folder; its suite's is {path.parent}")
        setting = results_setting(path.parent)
        raise UserError(f"no runs in {path}; make sweep SUITE={path.name}{setting} makes them")
    try:
        suite = load_suite(path.name, suites)
    except UserError:
        suite = None  # of an unknown suite: nothing to compare with
    result = [_run_of(RunDirectory(folder), suite) for folder in found]
    if suite is not None:
        facts = [fact for fact, _ in result]
        result += [(fact, _array([])) for fact in columns.missing_run_columns(suite, path, facts)]
    names = [experiment.network_name for experiment in suite.experiments] if suite else []
    return sorted(result, key=lambda pair: _order(pair[0], names))


def _run_of(directory: RunDirectory, suite: Suite | None) -> tuple[dict[str, Any], Records]:
    """(columns, records) of a run; of a damaged one no records."""
    try:
        summary, records = directory.read_state({})
        return columns.run_columns(directory, summary, suite), _array(records)
    except UserError as error:
        return columns.damaged_run_columns(directory, error, suite), _array([])


def _array(records: list[EpochRecord]) -> Records:
    """The records as rows of numbers, which take a tenth of the memory; one of NaN for none."""
    rows = [list(vars(record).values()) for record in records]
    return np.array(rows or [[np.nan] * len(RECORD_COLUMNS)], dtype=np.float64)


def _order(fact: dict[str, Any], names: list[str]) -> tuple[Any, ...]:
    """Sort key: networks by shortcut and depth, then variants in the order of `names`."""
    variant = fact["variant"]
    return (
        variant != "",
        names.index(variant) if variant in names else len(names),
        get_args(Shortcut).index(fact["shortcut"]),
        fact["depth"],
        fact["network"],
        fact["seed"],
    )
