"""SkipInit: residual branches without batch norm, behind a learned factor that begins at zero.

De and Smith 2020 (arXiv 2002.10444), section 4: batch norm's benefit in deep residual networks is
that it makes the branch small against the skip at the start; a scalar does that, too. Convolutions
have biases instead of batch norm; the first convolution keeps its batch norm.
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
        without_norm = spec.model_copy(update={"normalization": "none"})
        super().__init__(inputs, width, stride, without_norm)
        self.factor = nn.Parameter(torch.zeros(()))

    def residual(self, x: Tensor) -> Tensor:
        return self.factor * super().residual(x)
