"""NAME: what this cure does, in a sentence.

Its source, with section and equation. As it is, it changes nothing: fill in a hook, and delete the
others. What a cure does not define stays as it is in the control. resnet_bench/cures/hooks.py says
what each hook may do.
"""

import torch
from pydantic import Field
from torch import Tensor, nn

from resnet_bench.cures.hooks import CureOptions, Generator
from resnet_bench.networks.cifar import Block as ControlBlock
from resnet_bench.suites.network import NetworkSpec
from resnet_bench.suites.recipe import Recipe


class Options(CureOptions):
    """What a suite file may set; each with a default."""

    noise: float = Field(default=0.0, ge=0)


def initialize(
    network: nn.Module, generator: Generator, spec: NetworkSpec, options: Options
) -> None:
    """Change the initial weights in place; they hold the control's before."""
    for name, module in network.named_modules():
        if isinstance(module, nn.Conv2d):
            # numpy's generator for the tensor of this name, the only source of random numbers.
            normal = generator(f"{name}.weight").standard_normal(module.weight.shape)
            module.weight.add_(options.noise * torch.from_numpy(normal))


class Block(ControlBlock):
    """Two weighted layers F and the shortcut around them, if there is one: relu(F(x) + x)."""

    def __init__(
        self, inputs: int, width: int, stride: int, spec: NetworkSpec, options: Options
    ) -> None:
        super().__init__(inputs, width, stride, spec)

    def residual(self, x: Tensor) -> Tensor:
        """F(x)."""
        return super().residual(x)


def optimizer(
    parameters: list[nn.Parameter], recipe: Recipe, options: Options
) -> torch.optim.Optimizer:
    """The optimizer; the schedule sets its learning rate at every iteration."""
    rate, decay = recipe.learning_rate, recipe.weight_decay
    return torch.optim.SGD(parameters, rate, recipe.momentum, weight_decay=decay, fused=True)


def on_gradients(network: nn.Module, recipe: Recipe, options: Options) -> None:
    """Change gradients or buffers in place, before each update; tensor operations only."""
    for parameter in network.parameters():
        assert parameter.grad is not None
        parameter.grad.mul_(1.0)
