"""ReZero: a learned factor, zero at the start, in front of each residual branch.

Bachlechner et al. 2020 (arXiv 2003.04887), equation 1: y = x + a F(x), one a for each block, here
with batch norm in F and the ReLU after the addition.
"""

import torch
from torch import Tensor, nn

from resnet_bench.cures.hooks import CureOptions
from resnet_bench.networks.cifar import Block as ControlBlock
from resnet_bench.suites.network import NetworkSpec


class Block(ControlBlock):
    def __init__(
        self, inputs: int, width: int, stride: int, spec: NetworkSpec, options: CureOptions
    ) -> None:
        super().__init__(inputs, width, stride, spec)
        self.factor = nn.Parameter(torch.zeros(()))

    def residual(self, x: Tensor) -> Tensor:
        return self.factor * super().residual(x)
