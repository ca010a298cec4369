"""States of a group on a CPU, and what their training says."""

from collections.abc import Sequence
from typing import Any

import torch

from resnet_bench.datasets.load import load_dataset
from resnet_bench.records.epochs import TIME_COLUMNS, EpochRecord
from resnet_bench.suites.experiment import Experiment, Run
from resnet_bench.suites.suite import find_experiment
from resnet_bench.training.batches import BatchStream
from resnet_bench.training.data import TrainingData
from resnet_bench.training.loop import train
from resnet_bench.training.state import TrainingState, new_state

CPU = torch.device("cpu")


def data_of(experiment: Experiment) -> TrainingData:
    return TrainingData(experiment, *load_dataset(experiment.dataset), CPU)


def states_of(*names: str, seed: int = 0) -> list[TrainingState]:
    return [new_state(Run(find_experiment(name), seed), CPU) for name in names]


def run_all(
    states: Sequence[TrainingState], iterations: int | None = None
) -> dict[str, list[dict[str, Any]]]:
    """Train, up to `iterations` if given; the rows of each state, without their times."""
    experiment = states[0].run.experiment
    stream = BatchStream(experiment.recipe, experiment.train_images, states[0].run.seed)
    rows: dict[str, list[dict[str, Any]]] = {m.run.experiment.name: [] for m in states}

    def should_continue() -> bool:
        return iterations is None or max(m.iteration for m in states) < iterations

    for state, record in train(
        states, stream, data_of(experiment), should_continue=should_continue
    ):
        rows[state.run.experiment.name].append(without_times(record))
    return rows


def without_times(record: EpochRecord) -> dict[str, Any]:
    return {k: v for k, v in vars(record).items() if k not in TIME_COLUMNS}
