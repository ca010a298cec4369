"""Dirac parametrisation: every convolution is a multiple of the identity plus a free part.

Zagoruyko and Komodakis 2017, "DiracNets" (arXiv 1706.00388): W = diag(a) I + diag(b) W', where I is
the Dirac kernel and W' has rows of norm 1. The scales a and b are learned, one for each output
channel, and begin at 1 and 0.1. A plain network so has the skip in its weights, not in its graph.
"""

from typing import cast

import torch
from pydantic import Field
from torch import Tensor, nn
from torch.nn import functional as F

from resnet_bench.cures.hooks import CureOptions
from resnet_bench.networks.cifar import Block as ControlBlock
from resnet_bench.suites.network import NetworkSpec


class Options(CureOptions):
    identity: float = Field(default=1.0, ge=0)  # a at the start
    free: float = Field(default=0.1, ge=0)  # b at the start


class DiracConv2d(nn.Conv2d):
    """A convolution whose kernel is diag(a) I + diag(b) W / |W|, rows of W having norm 1."""

    def __init__(self, inputs: int, outputs: int, stride: int, options: Options) -> None:
        super().__init__(inputs, outputs, 3, stride, padding=1, bias=False)
        column = torch.ones(outputs, 1, 1, 1)
        self.identity_scale = nn.Parameter(options.identity * column)
        self.free_scale = nn.Parameter(options.free * column)
        self.register_buffer("dirac", nn.init.dirac_(torch.zeros_like(self.weight)))

    def kernel(self) -> Tensor:
        free = self.weight / self.weight.flatten(1).norm(dim=1).reshape(-1, 1, 1, 1)
        return self.identity_scale * cast(Tensor, self.dirac) + self.free_scale * free

    def forward(self, x: Tensor) -> Tensor:
        return F.conv2d(x, self.kernel(), None, self.stride, self.padding)


class Block(ControlBlock):
    def __init__(
        self, inputs: int, width: int, stride: int, spec: NetworkSpec, options: Options
    ) -> None:
        super().__init__(inputs, width, stride, spec)
        self.conv1 = DiracConv2d(inputs, width, stride, options)
        self.conv2 = DiracConv2d(width, width, 1, options)
