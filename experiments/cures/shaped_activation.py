"""Shaped activations: leaky ReLUs whose slope is chosen by depth (TAT).

Zhang, Botev and Martens 2022 (arXiv 2203.08120), section 4: in a plain network the correlation of
two inputs converges to 1 with depth; a leaky ReLU with the right slope lets the whole network
raise a correlation of 0 to 0.9, no further. Its map of correlations (equation 9) is
c + (1 - a)^2 / (pi (1 + a^2)) (sqrt(1 - c^2) - c arccos c), applied once a layer.
"""

import math

from pydantic import Field
from torch import Tensor
from torch.nn import functional as F

from resnet_bench.cures.hooks import CureOptions
from resnet_bench.networks.cifar import Block as ControlBlock
from resnet_bench.suites.network import NetworkSpec


class Options(CureOptions):
    correlation: float = Field(default=0.9, gt=0, lt=1)  # at the output, of unrelated inputs


class Block(ControlBlock):
    def __init__(
        self, inputs: int, width: int, stride: int, spec: NetworkSpec, options: Options
    ) -> None:
        super().__init__(inputs, width, stride, spec)
        self.slope = slope(spec.depth, options.correlation)

    def activation(self, x: Tensor) -> Tensor:
        return F.leaky_relu(x, self.slope) * math.sqrt(2 / (1 + self.slope**2))

    def forward(self, x: Tensor) -> Tensor:
        y = self.bn2(self.conv2(self.activation(self.bn1(self.conv1(x)))))
        return self.activation(y + self.shortcut(x) if self.has_shortcut else y)


def slope(depth: int, correlation: float) -> float:
    """The slope with which `depth` layers map a correlation of 0 to `correlation`, by bisection."""
    low, high = 0.0, 1.0  # a slope of 1 is linear and maps 0 to 0
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (middle, high) if mapped(depth, middle) > correlation else (low, middle)
    return low


def mapped(depth: int, a: float) -> float:
    """The correlation after `depth` layers of slope `a`, beginning with 0."""
    c, factor = 0.0, (1 - a) ** 2 / (math.pi * (1 + a**2))
    for _ in range(depth):
        c = min(1.0, c + factor * (math.sqrt(1 - c**2) - c * math.acos(c)))
    return c
