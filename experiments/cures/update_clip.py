"""SGD whose update of a tensor is at most a share of the tensor's norm.

A test of the explanation that the first updates of a deep plain network are out of all proportion:
with this they cannot be. Similar to the clipping of Brock et al. 2021 (arXiv 2102.06171), which is
of gradients and by unit; here it is the whole step, momentum included, of each weight tensor.
"""

import torch
from pydantic import Field
from torch import nn

from resnet_bench.cures.hooks import CureOptions
from resnet_bench.suites.recipe import Recipe


class Options(CureOptions):
    share: float = Field(default=0.01, gt=0)  # of the norm of the weight tensor


class ClippedSGD(torch.optim.SGD):
    """SGD; then the step of each convolution and of the linear layer is scaled down."""

    @torch.no_grad()
    def step(self, closure: None = None) -> None:  # type: ignore[override]
        weights = [
            (weight, group["share"])
            for group in self.param_groups
            for weight in group["params"]
            if weight.ndim > 1
        ]
        before = [weight.clone() for weight, _ in weights]
        super().step()
        for (weight, share), old in zip(weights, before, strict=True):
            change = weight - old
            allowed = share * old.norm() / change.norm().clamp_min(1e-12)
            weight.copy_(old + change * allowed.clamp_max(1.0))


def optimizer(
    parameters: list[nn.Parameter], recipe: Recipe, options: Options
) -> torch.optim.Optimizer:
    groups = [{"params": parameters, "share": options.share}]
    rate, momentum, decay = recipe.learning_rate, recipe.momentum, recipe.weight_decay
    return ClippedSGD(groups, rate, momentum, weight_decay=decay)
