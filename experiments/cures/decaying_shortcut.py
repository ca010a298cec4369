"""A shortcut that fades: the network begins residual and ends plain.

The strength of every shortcut falls linearly from 1 at the start to 0 at `until` of the training,
so that what is evaluated at the end is a plain network. It asks whether shortcuts are needed only
to begin. Related: Monti et al. 2018, "Avoiding degradation in deep feed-forward networks by phasing
out skip-connections" (ICANN 2018).
"""

import torch
from pydantic import Field
from torch import Tensor, nn

from resnet_bench.cures.hooks import CureOptions
from resnet_bench.networks.cifar import Block as ControlBlock
from resnet_bench.suites.network import NetworkSpec
from resnet_bench.suites.recipe import Recipe


class Options(CureOptions):
    until: float = Field(default=0.5, gt=0, le=1)  # the part of the training with shortcuts


class Block(ControlBlock):
    """For plain networks, whose shortcut is option A's until it is gone."""

    strength: Tensor

    def __init__(
        self, inputs: int, width: int, stride: int, spec: NetworkSpec, options: Options
    ) -> None:
        super().__init__(inputs, width, stride, spec)
        self.register_buffer("strength", torch.ones(()))

    def forward(self, x: Tensor) -> Tensor:
        return nn.functional.relu(self.residual(x) + self.strength * self.shortcut(x))


def on_gradients(network: nn.Module, recipe: Recipe, options: Options) -> None:
    fall = 1 / (options.until * recipe.iterations)
    for module in network.modules():
        if isinstance(module, Block):
            module.strength.sub_(fall).clamp_(min=0)
