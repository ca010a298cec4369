"""One training step: forward, loss, backward, update, totals."""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor
from torch.nn import functional as F

from resnet_bench.training.precision import autocast, executed_precision
from resnet_bench.training.schedule import learning_rate_at
from resnet_bench.training.state import Member

Batch = tuple[Tensor, Tensor]  # images (B, C, H, W), labels (B,)
Step = Callable[[Sequence[Member], Batch], None]


def eager_step(members: Sequence[Member], batch: Batch) -> None:
    """Train each member on `batch`, one operation after another."""
    images, labels = batch
    for member in members:
        for group in member.optimizer.param_groups:
            group["lr"] = learning_rate_at(member.iteration, member.recipe)
        logits = forward(member, images)
        loss = F.cross_entropy(logits.float(), labels)
        member.optimizer.zero_grad()
        loss.backward()
        member.optimizer.step()
        with torch.no_grad():
            member.totals.add(loss.detach(), logits, labels)


def forward(member: Member, images: Tensor) -> Tensor:
    """Logits of `member` in train mode, in its recipe's precision and batch norm group size."""
    recipe = member.recipe
    with autocast(executed_precision(recipe.precision, member.device), member.device):
        if recipe.batch_norm_images == "batch":
            return member.network(images)
        return torch.cat([member.network(part) for part in images.split(recipe.batch_norm_images)])
