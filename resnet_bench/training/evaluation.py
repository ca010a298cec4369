"""Losses and errors of a network, and the re-estimated (precise) batch norm statistics."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import islice

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from resnet_bench.suites.recipe import Precision, Recipe
from resnet_bench.training.data import Split, TrainingData
from resnet_bench.training.precision import as_float64, autocast, float64_device

OnImages = Callable[[int], None]  # is called after every batch with its number of images
ScoreBatch = Callable[[nn.Module, Tensor, Tensor, Precision], tuple[Tensor, Tensor]]


@dataclass(frozen=True)
class Score:
    """Sums over a set of images, on the device; to read a mean is to wait for it."""

    summed_loss: Tensor  # float64 ()
    wrong: Tensor  # int64 ()
    images: int

    @property
    def loss(self) -> float:
        """The mean cross-entropy in nats."""
        return self.summed_loss.item() / self.images

    @property
    def error(self) -> float:
        """As a fraction."""
        return self.wrong.item() / self.images


def score_batch(
    network: nn.Module, images: Tensor, labels: Tensor, precision: Precision
) -> tuple[Tensor, Tensor]:
    """Summed cross-entropy, float64 (), and images classified wrongly, int64 (), of a batch."""
    with autocast(precision, images.device):
        logits = network(images)
    loss = F.cross_entropy(logits.float(), labels, reduction="sum")
    return as_float64(loss), (logits.argmax(dim=1) != labels).sum()


@torch.no_grad()
def evaluate(
    network: nn.Module,
    data: TrainingData,
    split: Split,
    precision: Precision,
    on_images: OnImages | None = None,
    score_batch: ScoreBatch = score_batch,
) -> Score:
    """The score of `network` in evaluation mode on the un-augmented images of `split`."""
    training = network.training
    network.eval()
    loss = torch.zeros((), dtype=torch.float64, device=float64_device(data.device))
    wrong = torch.zeros((), dtype=torch.int64, device=data.device)
    try:
        for images, labels in data.measured_batches(split):
            batch_loss, batch_wrong = score_batch(network, images, labels, precision)
            loss += batch_loss
            wrong += batch_wrong
            if on_images:
                on_images(len(labels))
    finally:
        network.train(training)
    return Score(loss, wrong, len(split))


@contextmanager
def precise_batch_norm(
    network: nn.Module,
    data: TrainingData,
    recipe: Recipe,
    precision: Precision,
    on_images: OnImages | None = None,
) -> Iterator[None]:
    """Within the context, batch norm's statistics are the mean over un-augmented training batches.

    Running statistics lag behind the weights, and deep plain networks can look degraded for that
    reason alone. They, and everything else, are restored afterwards, in place.
    """
    norms = [module for module in network.modules() if isinstance(module, nn.BatchNorm2d)]
    saved = [(norm.momentum, [b.clone() for b in norm.buffers()]) for norm in norms]
    training = network.training
    try:
        for norm in norms:
            norm.reset_running_stats()
        _estimate_statistics(network, data, recipe, precision, on_images)
        yield
    finally:
        network.train(training)
        for norm, (momentum, buffers) in zip(norms, saved, strict=True):
            norm.momentum = momentum
            for buffer, value in zip(norm.buffers(), buffers, strict=True):
                buffer.copy_(value)


@torch.no_grad()
def _estimate_statistics(
    network: nn.Module,
    data: TrainingData,
    recipe: Recipe,
    precision: Precision,
    on_images: OnImages | None,
) -> None:
    count = recipe.whole_precise_batches(len(data.train))
    batches = islice(data.plain_batches(data.train, recipe.batch_size), count)
    norms = [module for module in network.modules() if isinstance(module, nn.BatchNorm2d)]
    network.train()
    for number, (images, _) in enumerate(batches, 1):
        for norm in norms:
            # The cumulative average. PyTorch's own, momentum=None, is the same to the bit, and
            # reads the number from the GPU: 45,000 waits for each clean record of `cifar10`.
            norm.momentum = 1.0 / number
        with autocast(precision, data.device):
            network(images)
        if on_images:
            on_images(len(images))
