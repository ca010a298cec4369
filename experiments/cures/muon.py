"""Muon: the momentum of each weight matrix is made orthogonal before it is applied.

Jordan et al. 2024 (kellerjordan.github.io/posts/muon), as in PyTorch's torch.optim.Muon, which
takes matrices alone: convolutions are passed as (outputs, inputs x kernel). Scales, shifts, biases
and the linear layer are SGD's, as the method has it.
"""

import torch
from pydantic import Field
from torch import nn

from resnet_bench.cures.hooks import CureOptions
from resnet_bench.suites.recipe import Recipe


class Options(CureOptions):
    # Times the recipe's: an orthogonal step is larger than SGD's.
    learning_rate_factor: float = Field(default=1.0, gt=0)


class ConvolutionMuon(torch.optim.SGD):
    """SGD, except that the convolutions' steps are orthogonalised."""

    @torch.no_grad()
    def step(self, closure: None = None) -> None:  # type: ignore[override]
        for group in self.param_groups:
            for weight in group["params"]:
                if weight.ndim == 4 and weight.grad is not None:
                    state = self.state[weight]
                    if "momentum" not in state:
                        state["momentum"] = torch.zeros_like(weight)
                    momentum = state["momentum"].mul_(group["beta"]).add_(weight.grad)
                    direction = weight.grad.add(momentum, alpha=group["beta"])  # Nesterov's
                    update = _orthogonal(direction.flatten(1)).reshape_as(weight)
                    scale = max(1.0, weight.shape[0] / weight[0].numel()) ** 0.5
                    weight.mul_(1 - group["lr"] * group["decay"])
                    weight.sub_(update * (group["lr"] * group["factor"] * scale))
                    weight.grad = None
        super().step()


def _orthogonal(matrix: torch.Tensor) -> torch.Tensor:
    """Five Newton-Schulz steps towards the nearest (semi-)orthogonal matrix, Jordan's numbers."""
    x = matrix.T if matrix.shape[0] > matrix.shape[1] else matrix
    x = x / x.norm().clamp_min(1e-7)
    for _ in range(5):
        gram = x @ x.T
        x = 3.4445 * x + (-4.7750 * gram + 2.0315 * gram @ gram) @ x
    return x.T if matrix.shape[0] > matrix.shape[1] else x


def optimizer(
    parameters: list[nn.Parameter], recipe: Recipe, options: Options
) -> torch.optim.Optimizer:
    group = {
        "params": parameters,
        "beta": recipe.momentum,
        "decay": recipe.weight_decay,
        "factor": options.learning_rate_factor,
    }
    return ConvolutionMuon(
        [group], recipe.learning_rate, recipe.momentum, weight_decay=recipe.weight_decay
    )
