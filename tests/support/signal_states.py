"""Small states whose signals are measured, and the batch that they are measured on."""

from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from resnet_bench.datasets.load import load_dataset
from resnet_bench.suites.experiment import Run
from resnet_bench.suites.suite import find_experiment
from resnet_bench.training.batches import BatchStream
from resnet_bench.training.data import TrainingData
from resnet_bench.training.state import TrainingState, new_state
from resnet_bench.training.step import eager_step

CPU = torch.device("cpu")
VARIANTS: dict[str, dict[str, Any]] = {
    "plain-8": {},
    "resnet-8-B": {"shortcut": "B"},
    "plain-8-preactivation": {"activation": "pre"},
    "resnet-14-A-preactivation": {"depth": 14, "shortcut": "A", "activation": "pre"},
    "plain-11-bottleneck": {"depth": 11, "block": "bottleneck"},
    "plain-8-no-norm": {"normalization": "none"},
}


def state_of(name: str, steps: int = 0) -> tuple[TrainingState, TrainingData]:
    """A state after some training, and its data; `name` is one of VARIANTS or of smoke."""
    experiment = find_experiment("smoke/plain-8" if name in VARIANTS else f"smoke/{name}")
    spec = experiment.spec.model_copy(update=VARIANTS.get(name, {}))
    experiment = replace(experiment, spec=spec)
    state = new_state(Run(experiment, 0), CPU)
    data = TrainingData(experiment, *load_dataset(experiment.dataset), CPU)
    stream = BatchStream(state.recipe, experiment.train_images, 0)
    for iteration in range(steps):
        eager_step([state], data.batch(stream.draw(iteration)))
        state.iteration += 1
    return state, data


def batch_of(state: TrainingState, data: TrainingData) -> tuple[Tensor, Tensor]:
    size = state.recipe.batch_size
    pixels = data.train.pixels[:size].float() / 16 - data.mean
    return pixels.permute(0, 3, 1, 2), data.train.labels[:size]
