"""The usual PyTorch loop, yardstick B0: a DataLoader, one network at a time."""

from collections.abc import Iterator
from functools import cached_property

import torch
from PIL import Image
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset, RandomSampler

from resnet_bench.benchmarks.yardsticks import Setting
from resnet_bench.datasets.load import Images
from resnet_bench.datasets.vision import v2
from resnet_bench.networks.cifar import CifarNet
from resnet_bench.sweeps.machine import available_cores
from resnet_bench.training.precision import (
    autocast,
    executed_precision,
    set_determinism,
    set_precision,
)


class PeerImages(Dataset[tuple[Tensor, int]]):
    """Like torchvision's CIFAR10: an array in memory, a PIL image and transforms per item."""

    def __init__(self, images: Images, padding: int) -> None:
        self.pixels = images.pixels.transpose(0, 2, 3, 1)
        self.labels = images.labels
        self.transform = v2.Compose(
            [
                v2.RandomCrop(images.pixels.shape[-1], padding=padding),
                v2.RandomHorizontalFlip(),
                v2.ToImage(),
                v2.ToDtype(torch.float32, scale=True),
                v2.Normalize([0.491, 0.482, 0.447], [0.247, 0.243, 0.262]),
            ]
        )

    def __len__(self) -> int:
        return len(self.labels)

    def __getitem__(self, index: int) -> tuple[Tensor, int]:
        return self.transform(Image.fromarray(self.pixels[index])), int(self.labels[index])


class Peers:
    """B0: DataLoader with workers, eager, NCHW, one network at a time."""

    name = "B0 as peers do it"

    def __init__(self, setting: Setting, workers: int | None = None) -> None:
        if workers is None:
            workers = min(8, available_cores())
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
        images = PeerImages(setting.images[0], recipe.padding)
        self.loader = DataLoader(
            images,
            recipe.batch_size,
            sampler=RandomSampler(images, replacement=True, num_samples=2**40),  # without end
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
