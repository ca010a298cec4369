"""The training loops that `make bench-gpu` compares, on the same networks and batches.

Each measures a step of all networks: together in one process, or the sum over one after another.
"""

import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Protocol

import numpy as np
import torch
from torch import Tensor, nn

from resnet_bench.datasets.definitions import Dataset
from resnet_bench.datasets.load import Images
from resnet_bench.gpu.lockstep import LaneStep
from resnet_bench.suites.experiment import Experiment, Run
from resnet_bench.suites.recipe import Precision
from resnet_bench.training.batches import BatchStream
from resnet_bench.training.data import TrainingData
from resnet_bench.training.precision import executed_precision, set_determinism, set_precision
from resnet_bench.training.state import TrainingState, new_state
from resnet_bench.training.step import Batch, eager_step

SEED = 0


class Contender(Protocol):
    """A way to train all networks, and the time of a step of all."""

    name: str
    share: float  # of a block's steps: slow contenders do fewer

    def seconds_a_step(self, steps: int) -> float: ...


class Stopwatch:
    """Seconds of the work within the context; synchronizes the device at both ends."""

    def __init__(self, device: torch.device) -> None:
        self.device = device
        self.seconds = 0.0

    def __enter__(self) -> "Stopwatch":
        self._wait()
        self.started = time.perf_counter()
        return self

    def __exit__(self, *_: object) -> None:
        self._wait()
        self.seconds = time.perf_counter() - self.started

    def _wait(self) -> None:
        if self.device.type == "cuda":
            torch.cuda.synchronize(self.device)


@dataclass(frozen=True)
class Setting:
    """The experiments, images and batches that all contenders share."""

    experiments: tuple[Experiment, ...]
    images: tuple[Images, Images]  # training and test
    device: torch.device
    data: TrainingData  # on the device
    stream: BatchStream

    @classmethod
    def of(
        cls,
        experiments: Sequence[Experiment],
        images: tuple[Images, Images],
        device: torch.device,
    ) -> "Setting":
        first = experiments[0]
        stream = BatchStream(first.recipe, first.train_images, SEED)
        data = TrainingData(first, *images, device)
        return cls(tuple(experiments), images, device, data, stream)

    @property
    def precision(self) -> Precision:
        return self.experiments[0].recipe.precision

    def states(self, precision: Precision | None = None) -> list[TrainingState]:
        states = []
        for experiment in self.experiments:
            change = {"precision": precision or self.precision}
            recipe = experiment.recipe.model_copy(update=change)
            run = Run(replace(experiment, recipe=recipe), SEED)
            states.append(new_state(run, self.device))
        return states


def synthetic_images(facts: Dataset) -> tuple[Images, Images]:
    """Random pixels in the shapes of a data set: speed does not depend on pixel values."""
    random = np.random.default_rng(0)

    def images(number: int) -> Images:
        shape = (number, facts.channels, facts.side, facts.side)
        pixels = random.integers(0, facts.largest_pixel + 1, shape, dtype=np.uint8)
        return Images(pixels, random.integers(0, facts.classes, number, dtype=np.uint8))

    return images(facts.train_images), images(facts.test_images)


class NativeBatchNorm(nn.BatchNorm2d):
    """Batch norm without cuDNN, whose channels_last kernels may wait for other lanes."""

    def forward(self, input: Tensor) -> Tensor:
        torch.backends.cudnn.enabled = False
        try:
            return super().forward(input)
        finally:
            torch.backends.cudnn.enabled = True


class Lockstep:
    """Ours: `LaneStep` on the shared batch, with single features removed by the options."""

    def __init__(
        self,
        name: str,
        setting: Setting,
        *,
        lanes: int | None = None,
        graphs: bool = True,
        deterministic: bool = True,
        precision: Precision | None = None,
        channels_last: bool = True,
        data_on_gpu: bool = True,
        native_norm: bool = False,
        share: float = 1.0,
    ) -> None:
        self.name, self.share, self.setting = name, share, setting
        self.deterministic, self.channels_last = deterministic, channels_last
        self.states = setting.states(precision)
        self.precision = executed_precision(precision or setting.precision, setting.device)
        self.data = setting.data
        if not data_on_gpu:
            first = setting.experiments[0]
            self.data = TrainingData(first, *setting.images, torch.device("cpu"))
        for network in [state.network for state in self.states]:
            if not channels_last:
                network.to(memory_format=torch.contiguous_format)  # type: ignore[call-overload]
            for module in network.modules():
                if native_norm and isinstance(module, nn.BatchNorm2d):
                    module.__class__ = NativeBatchNorm
        self.step = LaneStep(self.states, lanes=lanes, graphs=graphs)

    def seconds_a_step(self, steps: int) -> float:
        set_determinism(self.deterministic, self.setting.device)
        set_precision(self.precision, self.setting.device)
        with Stopwatch(self.setting.device) as watch:
            for _ in range(steps):
                self.step(self.states, self._batch(self.states[0].iteration))
                for state in self.states:
                    state.iteration += 1
        return watch.seconds / steps

    def _batch(self, iteration: int) -> Batch:
        images, labels = self.data.batch(self.setting.stream.draw(iteration))
        if self.data.device != self.setting.device:
            images, labels = (
                tensor.pin_memory().to(self.setting.device, non_blocking=True)
                for tensor in (images, labels)
            )
        return images if self.channels_last else images.contiguous(), labels

    def close(self) -> None:
        self.step.close()


class OneByOne:
    """B1, the best simple loop: data on the GPU, NHWC, fused SGD, cuDNN's fastest; no graphs."""

    name = "B1 simple loop, one network at a time"

    def __init__(self, setting: Setting) -> None:
        self.setting = setting
        self.states = setting.states()
        self.share = 1 / len(self.states)

    def seconds_a_step(self, steps: int) -> float:
        """The sum over the networks, from `steps` steps of each."""
        set_determinism(False, self.setting.device)
        precision = executed_precision(self.setting.precision, self.setting.device)
        set_precision(precision, self.setting.device)
        return sum(self._seconds(index, steps) for index in range(len(self.states))) / steps

    def _seconds(self, index: int, steps: int) -> float:
        state = self.states[index]
        with Stopwatch(self.setting.device) as watch:
            for _ in range(steps):
                draw = self.setting.stream.draw(state.iteration)
                eager_step([state], self.setting.data.batch(draw))
                state.iteration += 1
        return watch.seconds
