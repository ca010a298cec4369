"""The usual PyTorch loop, yardstick B0: a DataLoader, one network at a time."""

from collections.abc import Iterator
from itertools import count

import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset

from resnet_bench.benchmarks.yardsticks import Setting, Stopwatch
from resnet_bench.datasets.load import Images
from resnet_bench.networks.cifar import CifarNet
from resnet_bench.suites.recipe import Precision
from resnet_bench.sweeps.machine import available_cores
from resnet_bench.training.batches import BatchStream
from resnet_bench.training.precision import (
    autocast,
    executed_precision,
    set_determinism,
    set_precision,
)

PEER_WORKERS = 8


class PeerImages(Dataset[tuple[Tensor, int]]):
    """The usual Dataset: a PIL image and transforms per item, with the draws of BatchStream."""

    def __init__(self, images: Images, padding: int) -> None:
        self.pixels = images.pixels.transpose(0, 2, 3, 1)
        self.labels = images.labels
        self.padding = padding
        self.side = images.pixels.shape[-1]
        channels = images.pixels.mean(axis=(0, 2, 3)) / 255
        self.mean = torch.from_numpy(channels).float()[:, None, None]

    def __getitem__(self, draw: tuple[int, int, int, bool]) -> tuple[Tensor, int]:
        from PIL import Image

        from resnet_bench.datasets.vision import v2

        index, top, left, flip = draw
        image = v2.functional.pad(Image.fromarray(self.pixels[index]), [self.padding])
        image = v2.functional.crop(image, top, left, self.side, self.side)
        if flip:
            image = v2.functional.horizontal_flip(image)
        tensor = v2.functional.to_dtype(v2.functional.to_image(image), torch.float32, scale=True)
        return tensor - self.mean, int(self.labels[index])


def peer_draws(stream: BatchStream) -> Iterator[list[tuple[int, int, int, bool]]]:
    """The batches of `stream` without end, for a DataLoader's `batch_sampler`."""
    for iteration in count():
        draw = stream.draw(iteration)
        tables = (draw.index, draw.top, draw.left, draw.flip)
        yield list(zip(*(table.tolist() for table in tables), strict=True))


class Peers:
    """B0: DataLoader with workers, eager, NCHW, one network at a time."""

    name = "B0 as peers do it"

    def __init__(self, setting: Setting, workers: int | None = None) -> None:
        if workers is None:
            workers = min(PEER_WORKERS, available_cores())
        self.setting = setting
        self.networks = [
            CifarNet(experiment.spec, experiment.images).to(setting.device).train()
            for experiment in setting.experiments
        ]
        recipe = setting.experiments[0].recipe
        self.optimizers = [
            torch.optim.SGD(
                network.parameters(),
                recipe.learning_rate,
                recipe.momentum,
                weight_decay=recipe.weight_decay,
            )
            for network in self.networks
        ]
        self.share = 1 / len(self.networks)
        loader = DataLoader(
            PeerImages(setting.images[0], recipe.padding),
            batch_sampler=peer_draws(setting.stream),
            num_workers=workers,
            pin_memory=setting.device.type == "cuda",
            multiprocessing_context="fork" if workers else None,
        )
        self.loader = loader
        self.batches: Iterator[list[Tensor]] | None = None

    def seconds_a_step(self, steps: int) -> float:
        """The sum over the networks, from `steps` steps of each."""
        if self.batches is None:
            # Not earlier: its threads pin memory, which can abort another contender's capture.
            self.batches = iter(self.loader)
        set_determinism(False, self.setting.device)
        precision = executed_precision(self.setting.precision, self.setting.device)
        set_precision(precision, self.setting.device)
        pairs = zip(self.networks, self.optimizers, strict=True)
        batches = self.batches
        return sum(self._seconds(*pair, batches, precision, steps) for pair in pairs) / steps

    def _seconds(
        self,
        network: nn.Module,
        optimizer: torch.optim.SGD,
        batches: Iterator[list[Tensor]],
        precision: Precision,
        steps: int,
    ) -> float:
        criterion, running_loss = nn.CrossEntropyLoss(), 0.0
        device = self.setting.device
        with Stopwatch(device) as watch:
            for _ in range(steps):
                images, labels = (tensor.to(device) for tensor in next(batches))
                with autocast(precision, device):
                    loss = criterion(network(images), labels)
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()
                running_loss += loss.item()
        return watch.seconds
