"""Whether records have the learning rates and iterations that their recipe says."""

import math
from collections.abc import Iterator
from fractions import Fraction
from functools import cache, partial
from typing import Any

import pandas as pd

from analysis.frames import integrity, select
from resnet_bench.suites.experiment import Experiment
from resnet_bench.suites.suite import Suite
from resnet_bench.training.schedule import learning_rate_at


def wrong_rates(runs: pd.DataFrame, suite: Suite) -> list[str]:
    """The first wrong learning rate of each run, in words; rows as from `load.runs`."""
    wrong = []
    known: dict[tuple[str, int], float] = {}
    for name, experiment, records in _by_run(runs, suite):
        for iteration, rate in zip(records["iteration"], records["learning_rate"], strict=True):
            key = experiment.name, iteration
            if key not in known:
                known[key] = learning_rate_at(iteration - 1, experiment.recipe)
            if not math.isclose(rate, known[key], rel_tol=1e-9):
                wrong.append(f"{name}: {rate:g} at {iteration}, not {known[key]:g}")
                break
    return wrong


def wrong_iterations(runs: pd.DataFrame, suite: Suite) -> list[str]:
    """Records at other iterations than they are due, in words; rows as from `load.runs`."""
    wrong = []
    known: dict[tuple[str, int], int] = {}
    for name, experiment, records in _by_run(runs, suite):
        end = experiment.recipe.iterations
        for number, iteration in enumerate(records["iteration"], start=1):
            key = experiment.name, number
            if key not in known:
                known[key] = min(record_due(number, experiment), end)
            due = known[key]
            if iteration != due:
                wrong.append(f"{name}: record {number} at {iteration}, not {due}")
                break
        if len(set(records["iteration"])) < len(records["iteration"]):
            wrong.append(f"{name}: two records at one iteration")
        last = records["iteration"][-1]
        if records["status"][-1] == "finished" and last != end:
            wrong.append(f"{name} ends at {last}, not {end}")
    return wrong


def record_due(number: int, experiment: Experiment) -> int:
    """The iteration after which a run's record of this `number` (1 is the first) is due."""
    recipe = experiment.recipe
    per_epoch = Fraction(experiment.train_images, recipe.batch_size)
    if recipe.last_batch != "run-on":
        per_epoch = Fraction(
            math.ceil(per_epoch) if recipe.last_batch == "short" else math.floor(per_epoch)
        )
    return math.ceil(number * per_epoch / recipe.records_per_epoch)


def _by_run(
    runs: pd.DataFrame, suite: Suite
) -> Iterator[tuple[str, Experiment, dict[str, list[Any]]]]:
    """("plain-56 seed 1", its experiment, its records by column) of each run."""
    records = select.curves(runs)
    columns = {name: records[name].to_numpy() for name in ("iteration", "learning_rate", "status")}
    declared = cache(partial(integrity.declared_experiment, suite))
    groups: Any = records.groupby(["network", "seed"], sort=False).indices
    for (network, seed), rows in groups.items():
        experiment = declared(network)
        assert experiment is not None  # runs of undeclared ones are refused
        own = {name: values[rows].tolist() for name, values in columns.items()}
        yield f"{network} seed {seed}", experiment, own
