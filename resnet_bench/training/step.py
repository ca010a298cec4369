"""One training step: forward, loss, backward, update, totals."""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor
from torch.nn import functional as F

from resnet_bench.cures.blame import in_training
from resnet_bench.cures.treatment import change_gradients
from resnet_bench.training.precision import autocast, executed_precision
from resnet_bench.training.schedule import learning_rate_at
from resnet_bench.training.state import TrainingState

Batch = tuple[Tensor, Tensor]  # images (B, C, H, W), labels (B,)
Step = Callable[[Sequence[TrainingState], Batch], None]
Forward = Callable[[TrainingState, Tensor], Tensor]


def forward(state: TrainingState, images: Tensor) -> Tensor:
    """Logits (B, classes) in train mode, in the recipe's precision and batch norm group size."""
    recipe = state.recipe
    with autocast(executed_precision(recipe.precision, state.device), state.device):
        if recipe.batch_norm_images == "batch":
            return state.network(images)
        return torch.cat([state.network(part) for part in images.split(recipe.batch_norm_images)])


def eager_step(states: Sequence[TrainingState], batch: Batch, forward: Forward = forward) -> None:
    """Train each state on `batch`, one operation after another, in place."""
    images, labels = batch
    for state in states:
        for group in state.optimizer.param_groups:
            group["lr"] = learning_rate_at(state.iteration, state.recipe)
        with in_training(state.run, "forward or backward fails"):
            logits = forward(state, images)
            loss = F.cross_entropy(logits.float(), labels)
            state.optimizer.zero_grad()
            loss.backward()
        with in_training(state.run, "on_gradients fails"), torch.no_grad():
            change_gradients(state.network, state.run.experiment)
        with in_training(state.run, "optimizer fails"):
            state.optimizer.step()
        with torch.no_grad():
            state.totals.add(loss.detach(), logits, labels)
