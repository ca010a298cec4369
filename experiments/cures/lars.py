"""LARS: the step of each layer is proportional to the norm of its weights.

You, Gitman and Ginsburg 2017 (arXiv 1708.03888), equation 6: the local rate is
trust |w| / (|g| + decay |w|), of weight tensors; scales, shifts and biases take SGD's step.
"""

import torch
from pydantic import Field
from torch import nn

from resnet_bench.cures.hooks import CureOptions
from resnet_bench.suites.recipe import Recipe


class Options(CureOptions):
    trust: float = Field(default=0.05, gt=0)  # times the learning rate: the share of the norm


class LARS(torch.optim.SGD):
    """SGD on gradients that are scaled to each tensor's trust ratio, weight decay included."""

    @torch.no_grad()
    def step(self, closure: None = None) -> None:  # type: ignore[override]
        for group in self.param_groups:
            for weight in group["params"]:
                if weight.grad is None:
                    continue
                weight.grad.add_(weight, alpha=group["decay"])
                if weight.ndim > 1:
                    norm = weight.grad.norm().clamp_min(1e-12)
                    weight.grad.mul_(group["trust"] * weight.norm() / norm)
        super().step()


def optimizer(
    parameters: list[nn.Parameter], recipe: Recipe, options: Options
) -> torch.optim.Optimizer:
    groups = [{"params": parameters, "trust": options.trust, "decay": recipe.weight_decay}]
    return LARS(groups, recipe.learning_rate, recipe.momentum)
