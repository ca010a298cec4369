"""The training loops that `make bench-gpu` compares, on the same networks and batches.

Each trains all networks: together, or one after another.
"""

from dataclasses import KW_ONLY, dataclass, replace
from functools import cached_property

import numpy as np
import torch

from resnet_bench.datasets.definitions import Dataset
from resnet_bench.datasets.load import Images
from resnet_bench.gpu.lockstep import LaneStep
from resnet_bench.gpu.norms import use_norm
from resnet_bench.gpu.setting import Norm
from resnet_bench.suites.experiment import Experiment, Run
from resnet_bench.suites.recipe import Precision
from resnet_bench.training.batches import BatchStream
from resnet_bench.training.data import TrainingData
from resnet_bench.training.precision import executed_precision, set_determinism, set_precision
from resnet_bench.training.state import TrainingState, new_state
from resnet_bench.training.step import Batch, eager_step

SEED = 0


@dataclass(frozen=True)
class Setting:
    """The experiments, images and batches that all contenders share."""

    experiments: tuple[Experiment, ...]
    images: tuple[Images, Images]  # training and test
    device: torch.device

    @cached_property
    def data(self) -> TrainingData:
        """The images as tensors on the device."""
        return TrainingData(self.experiments[0], *self.images, self.device)

    @cached_property
    def stream(self) -> BatchStream:
        first = self.experiments[0]
        return BatchStream(first.recipe, first.train_images, SEED)

    @property
    def precision(self) -> Precision:
        return self.experiments[0].recipe.precision

    def states(self, precision: Precision | None = None) -> list[TrainingState]:
        """New states of all experiments; in another `precision` than theirs, if one is given."""
        change = {"precision": precision or self.precision}
        return [
            new_state(Run(replace(e, recipe=e.recipe.model_copy(update=change)), SEED), self.device)
            for e in self.experiments
        ]


def synthetic_images(facts: Dataset) -> tuple[Images, Images]:
    """Random pixels in the shapes of a data set: speed does not depend on pixel values."""
    random = np.random.default_rng(0)

    def images(number: int) -> Images:
        shape = (number, facts.channels, facts.side, facts.side)
        pixels = random.integers(0, facts.largest_pixel + 1, shape, dtype=np.uint8)
        return Images(pixels, random.integers(0, facts.classes, number, dtype=np.uint8))

    return images(facts.train_images), images(facts.test_images)


@dataclass
class Lockstep:
    """Ours: `LaneStep` on the shared batch, with single features removed by the options."""

    name: str
    setting: Setting
    _: KW_ONLY
    lanes: int | None = None
    graphs: bool = True
    deterministic: bool = True
    precision: Precision | None = None
    channels_last: bool = True
    data_on_gpu: bool = True
    norm: Norm = "cudnn"

    def __post_init__(self) -> None:
        setting = self.setting
        self.states = setting.states(self.precision)
        self.data = setting.data
        if not self.data_on_gpu:
            self.data = TrainingData(setting.experiments[0], *setting.images, torch.device("cpu"))
        for network in [state.network for state in self.states]:
            if not self.channels_last:
                network.to(memory_format=torch.contiguous_format)  # type: ignore[call-overload]
            use_norm(network, self.norm)
        self.step = LaneStep(self.states, lanes=self.lanes, graphs=self.graphs)

    def set_up_process(self) -> None:
        set_determinism(self.deterministic, self.setting.device)
        precision = self.precision or self.setting.precision
        set_precision(executed_precision(precision, self.setting.device), self.setting.device)

    def train(self, steps: int) -> None:
        self.set_up_process()
        for _ in range(steps):
            self.step(self.states, self._batch(self.states[0].iteration))
            for state in self.states:
                state.iteration += 1

    def _batch(self, iteration: int) -> Batch:
        images, labels = self.data.batch(self.setting.stream.draw(iteration))
        if self.data.device != self.setting.device:
            images, labels = (
                tensor.pin_memory().to(self.setting.device, non_blocking=True)
                for tensor in (images, labels)
            )
        return images if self.channels_last else images.contiguous(), labels


class OneByOne:
    """B1, the best simple loop: data on the GPU, NHWC, fused SGD, cuDNN's fastest; no graphs."""

    name = "B1 simple loop, one network at a time"

    def __init__(self, setting: Setting) -> None:
        self.setting = setting
        self.states = setting.states()

    def train(self, steps: int) -> None:
        setting = self.setting
        set_determinism(False, setting.device)
        set_precision(executed_precision(setting.precision, setting.device), setting.device)
        for state in self.states:
            for _ in range(steps):
                eager_step([state], setting.data.batch(setting.stream.draw(state.iteration)))
                state.iteration += 1
