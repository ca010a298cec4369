"""Losses and errors of a network, and the re-estimated (precise) batch norm statistics."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import islice

import torch
from torch import nn
from torch.nn import functional as F

from resnet_bench.suites.recipe import Precision, Recipe
from resnet_bench.training.data import Split, TrainingData
from resnet_bench.training.precision import as_float64, autocast, float64_device


@dataclass(frozen=True)
class Score:
    """Means over a set of images: cross-entropy in nats, error as a fraction."""

    loss: float
    error: float


@torch.no_grad()
def evaluate(
    network: nn.Module,
    data: TrainingData,
    split: Split,
    precision: Precision,
    on_batch: Callable[[int], None] | None = None,
) -> Score:
    """The score of `network` in evaluation mode on the un-augmented images of `split`.

    `on_batch` is called after every batch with its number of images.
    """
    training = network.training
    network.eval()
    loss = torch.zeros((), dtype=torch.float64, device=float64_device(data.device))
    wrong = torch.zeros((), dtype=torch.int64, device=data.device)
    try:
        for images, labels in data.measured_batches(split):
            with autocast(precision, data.device):
                logits = network(images)
            loss += as_float64(F.cross_entropy(logits.float(), labels, reduction="sum"))
            wrong += (logits.argmax(dim=1) != labels).sum()
            if on_batch:
                on_batch(len(labels))
    finally:
        network.train(training)
    return Score(loss.item() / len(split), wrong.item() / len(split))


@contextmanager
def precise_batch_norm(
    network: nn.Module,
    data: TrainingData,
    recipe: Recipe,
    precision: Precision,
    on_batch: Callable[[int], None] | None = None,
) -> Iterator[None]:
    """Within the context, batch norm's statistics are the mean over un-augmented training batches.

    Running statistics lag behind the weights, and deep plain networks can look degraded for that
    reason alone. They, and everything else, are restored afterwards, in place. `on_batch` is called
    after every batch with its number of images.
    """
    norms = [module for module in network.modules() if isinstance(module, nn.BatchNorm2d)]
    saved = [(norm.momentum, [b.clone() for b in norm.buffers()]) for norm in norms]
    training = network.training
    try:
        for norm in norms:
            norm.reset_running_stats()
        _estimate_statistics(network, data, recipe, precision, on_batch)
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
    on_batch: Callable[[int], None] | None,
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
        if on_batch:
            on_batch(len(images))
