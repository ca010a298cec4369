"""Synthetic run directories for the tests of the analysis: plausible curves, no training.

Plain networks end the worse the deeper they are, residual ones do not; each seed shifts its
networks by a little, the same way every time.
"""

import dataclasses
import hashlib
import json
import math
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from analysis import load
from resnet_bench.paths import SUITES_FOLDER
from resnet_bench.records import seals
from resnet_bench.records.epochs import EpochRecord
from resnet_bench.records.files import as_csv
from resnet_bench.records.run_directory import RunDirectory, Summary
from resnet_bench.suites.experiment import Experiment
from resnet_bench.suites.suite import find_experiment, load_suite
from resnet_bench.training.schedule import learning_rate_at

DIGITS_RECIPE = load_suite("digits").recipe  # its numbers are tuned: tests take them from here
END = DIGITS_RECIPE.iterations

# Final errors (train, test) by shortcut and depth, as fractions: the paper's figure 6 for CIFAR-10.
CIFAR10 = {
    ("none", 20): (0.013, 0.097),
    ("none", 32): (0.013, 0.100),
    ("none", 44): (0.026, 0.114),
    ("none", 56): (0.057, 0.132),
    ("none", 110): (0.68, 0.70),
    ("A", 20): (0.008, 0.0845),
    ("A", 32): (0.003, 0.0755),
    ("A", 44): (0.002, 0.0725),
    ("A", 56): (0.001, 0.0710),
    ("A", 110): (0.0005, 0.0660),
}
DIGITS = {
    ("none", 20): (0.010, 0.020),
    ("none", 32): (0.11, 0.12),
    ("none", 44): (0.41, 0.42),
    ("none", 56): (0.63, 0.64),
}


@dataclass(frozen=True)
class Options:
    """What is odd about the runs that `write_suite` writes; keys are `network/seed`."""

    seeds: tuple[int, ...] = (0,)
    missing: frozenset[str] = frozenset()
    partial: dict[str, float] = field(default_factory=dict)  # the share of the budget done
    diverged: dict[str, float] = field(default_factory=dict)  # the same; 0 = before any record
    commits: dict[str, str] = field(default_factory=dict)
    devices: dict[str, str] = field(default_factory=dict)
    recipes: dict[str, dict[str, Any]] = field(default_factory=dict)  # values that differ
    precisions: dict[str, str] = field(default_factory=dict)
    digests: dict[str, str] = field(default_factory=dict)  # a batch stream of its own
    best_rates: dict[str, float] = field(default_factory=dict)  # of a network; others are worse
    spread: float = 0.02  # of the final errors over seeds, relative
    dirty: bool = False


PLAIN_SWEEP = Options()  # one seed, nothing odd


def write_suite(
    results: Path, suite: str, options: Options = PLAIN_SWEEP, suites: Path = SUITES_FOLDER
) -> Path:
    """Write the runs of every experiment of a suite; returns the suite's folder."""
    for experiment in load_suite(suite, suites).experiments:
        for seed in options.seeds:
            write_run(results, experiment, seed, options)
    return results / suite


def frame_of(results: Path, suite: str, options: Options = PLAIN_SWEEP) -> pd.DataFrame:
    """The records of a suite that is written for it, as the analysis reads them."""
    return load.runs(write_suite(results, suite, options))


def write_changed(results: Path, name: str, setting: str, options: Options = PLAIN_SWEEP) -> None:
    """Write the runs of `suite/network` with one changed setting, `recipe.key=value`."""
    for seed in options.seeds:
        write_run(results, find_experiment(name, (setting,)), seed, options)


def write_run(results: Path, experiment: Experiment, seed: int, options: Options) -> None:
    key = f"{experiment.network_name}/{seed}"
    if key in options.missing:
        return
    folder = results / experiment.suite / experiment.network_name / f"seed-{seed}"
    directory = RunDirectory(folder)
    folder.mkdir(parents=True, exist_ok=True)
    # Written here, not by `RunDirectory`: waiting for the disk, as runs do, takes tests too long.
    description = _description(experiment, seed, key, options)
    directory.run_json.write_text(json.dumps(description, indent=2))
    share = options.partial.get(key, options.diverged.get(key, 1.0))
    end = math.floor(share * experiment.recipe.iterations)
    rows = [row for row in _records(experiment, seed, options) if row.iteration <= end]
    if rows:
        directory.epochs_csv.write_text(as_csv(EpochRecord, rows, header=True))
    if key in options.partial:
        return
    final = dataclasses.asdict(rows[-1]) if rows else {}
    seconds = sum(row.seconds for row in rows)
    diverged = key in options.diverged
    summary = Summary(
        "diverged" if diverged else "finished", end + 1 if diverged else end, final, seconds
    )
    directory.summary_json.write_text(json.dumps(dataclasses.asdict(summary)))
    seal(folder)


def seal(folder: Path) -> None:
    """Seal a run anew if it has ended: its files are what its training could have written."""
    path = folder / "summary.json"
    if path.exists():
        ended = json.loads(path.read_text())
        ended.pop("seal", None)
        path.write_text(json.dumps(ended | {"seal": seals.new_seal(folder, ended)}))


def edit_description(folder: Path, **identity: Any) -> None:
    """Change entries of the identity in a run.json, as if the run had been trained so."""
    path = folder / "run.json"
    description = json.loads(path.read_text())
    description["identity"] |= identity
    path.write_text(json.dumps(description))
    seal(folder)


def _description(experiment: Experiment, seed: int, key: str, options: Options) -> dict[str, Any]:
    identity = experiment.identity()
    identity["recipe"] |= options.recipes.get(key, {})
    device = options.devices.get(key, "cpu")
    declared = identity["recipe"]["precision"]
    executed = "ieee" if declared == "tf32" and device == "cpu" else declared
    network = experiment.spec
    twin = (network.depth, "twin") if network.shortcut in ("none", "A") else network.name
    return {
        "identity": identity
        | {
            "seed": seed,
            "precision": options.precisions.get(key, executed),
            "threads": 1,
            "digests": {
                "batch_stream": options.digests.get(key, _digest("stream", seed)),
                "initial_weights": _digest("weights", seed, twin),
                "initial_shared_weights": _digest("shared", seed, network.depth),
            },
        },
        "attempts": [
            {
                "started": "2026-01-01T00:00:00+00:00",
                "seconds": 60.0,
                "first_iteration": 0,
                "last_iteration": experiment.recipe.iterations,
                "device": device,
                "processor": "Synthetic 9000",
                "commit": options.commits.get(key, "0123456789abcdef"),
                "dirty": options.dirty,
                "group_size": 1,
                "versions": {"python": "3.11.7", "torch": "2.13.0", "numpy": "2.3.0"},
            }
        ],
        "wandb_id": None,
    }


def _digest(*parts: object) -> str:
    return hashlib.sha256(repr(parts).encode()).hexdigest()


def final_errors(experiment: Experiment) -> tuple[float, float]:
    """(train, test) that the synthetic curves of an experiment head for."""
    shortcut, depth = experiment.spec.shortcut, experiment.spec.depth
    if experiment.dataset.name == "cifar10":
        return CIFAR10.get((shortcut, depth), CIFAR10.get(("A", depth), (0.01, 0.1)))
    return DIGITS.get((shortcut, depth), (0.006, 0.015))


def _records(experiment: Experiment, seed: int, options: Options) -> list[EpochRecord]:
    """The whole curve of a run: exponential towards its final error, faster after each drop."""
    recipe = experiment.recipe
    train, test = final_errors(experiment)
    random = np.random.default_rng([seed, experiment.spec.depth, ord(experiment.spec.name[-1])])
    shift = 1 + options.spread * random.standard_normal()
    best = options.best_rates.get(experiment.spec.name, recipe.learning_rate)
    shift *= 1 + abs(math.log(recipe.learning_rate / best))
    per_epoch = experiment.train_images / recipe.batch_size
    if recipe.last_batch == "short":
        per_epoch = math.ceil(per_epoch)
    records: list[EpochRecord] = []
    iteration = 0
    while iteration < recipe.iterations:
        number = len(records) + 1
        epoch = math.ceil(number / recipe.records_per_epoch)
        due = math.ceil(number * per_epoch / recipe.records_per_epoch)
        iteration = min(due, recipe.iterations)
        progress = iteration / recipe.iterations
        drops = sum(iteration > drop for drop in recipe.drops)
        left = math.exp(-6 * progress) * 0.3**drops * (0.9 - train)
        wobble = 1 + 0.03 * random.standard_normal() * 0.5**drops
        last = iteration == recipe.iterations
        clean = min(train * shift + left, 0.9) if last or epoch % recipe.clean_every == 0 else None
        error = (train * shift + left) * wobble
        rate = learning_rate_at(iteration - 1, recipe)
        records.append(
            EpochRecord(
                epoch=epoch,
                iteration=iteration,
                learning_rate=rate,
                train_loss=2.5 * error,
                train_error=min(error, 0.9),
                clean_train_error=clean,
                precise_train_error=clean,
                test_loss=3 * (test + left),
                test_error=min((test * shift + left) * wobble, 0.9),
                precise_test_error=min(test * shift + left, 1.0) if clean is not None else None,
                validation_loss=None if recipe.train_images == "all" else 3 * (test + left),
                validation_error=None
                if recipe.train_images == "all"
                else min(test * shift + left, 0.9),
                seconds=1.5,
                images_per_second=1000.0,
            )
        )
    return records
