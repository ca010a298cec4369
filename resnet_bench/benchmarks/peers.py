"""The usual PyTorch loop, yardstick B0: a DataLoader, one network at a time."""

from collections.abc import Iterator
from functools import cached_property
from itertools import count

import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset

from resnet_bench.benchmarks.yardsticks import Setting
from resnet_bench.datasets.load import Images
from resnet_bench.networks.cifar import CifarNet
from resnet_bench.training.batches import BatchStream
from resnet_bench.training.precision import (
    autocast,
    executed_precision,
    set_determinism,
    set_precision,
)


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

    def __init__(self, setting: Setting, workers: int) -> None:
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
        self.loader = DataLoader(
            PeerImages(setting.images[0], recipe.padding),
            batch_sampler=peer_draws(setting.stream),
            num_workers=workers,
            pin_memory=setting.device.type == "cuda",
            multiprocessing_context="fork" if workers else None,
        )

    @cached_property
    def batches(self) -> Iterator[list[Tensor]]:
        """Made late: its threads pin memory, which can abort another contender's capture."""
        return iter(self.loader)

    def train(self, steps: int) -> None:
        device, criterion, running_loss = self.setting.device, nn.CrossEntropyLoss(), 0.0
        precision = executed_precision(self.setting.precision, device)
        set_determinism(False, device)
        set_precision(precision, device)
        for network, optimizer in zip(self.networks, self.optimizers, strict=True):
            for _ in range(steps):
                images, labels = (tensor.to(device) for tensor in next(self.batches))
                with autocast(precision, device):
                    loss = criterion(network(images), labels)
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()
                running_loss += loss.item()
