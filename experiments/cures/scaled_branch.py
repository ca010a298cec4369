"""Residual branches scaled by 1 / sqrt(L), L being the number of blocks; nothing is learned.

De and Smith 2020 (arXiv 2002.10444), section 3, and others before: then the variance that the L
branches add together is that of one.
"""

from torch import Tensor

from resnet_bench.cures.hooks import CureOptions
from resnet_bench.networks.cifar import Block as ControlBlock
from resnet_bench.suites.network import NetworkSpec


class Block(ControlBlock):
    def __init__(
        self, inputs: int, width: int, stride: int, spec: NetworkSpec, options: CureOptions
    ) -> None:
        super().__init__(inputs, width, stride, spec)
        self.factor = sum(spec.stage_blocks) ** -0.5

    def residual(self, x: Tensor) -> Tensor:
        return self.factor * super().residual(x)
