"""Fixup: residual networks without batch norm, by initial weights, biases and one scale a block.

Zhang, Dauphin and Ma 2019 (arXiv 1901.09321), section 3: (1) the classifier and the last
convolution of each branch begin at zero; (2) the other convolutions of a branch, of He's initial
weights, are divided by L^(1 / (2m - 2)), with L blocks of m = 2 layers by sqrt(L); (3) a scalar
bias before each convolution and ReLU, and a scalar factor for each branch. The first convolution
keeps its batch norm, so that the networks differ in their blocks alone.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from resnet_bench.cures.hooks import CureOptions, Generator
from resnet_bench.networks.cifar import Block as ControlBlock
from resnet_bench.suites.network import NetworkSpec


class Block(ControlBlock):
    def __init__(
        self, inputs: int, width: int, stride: int, spec: NetworkSpec, options: CureOptions
    ) -> None:
        bare = spec.model_copy(update={"normalization": "none"})
        super().__init__(inputs, width, stride, bare)
        self.conv1.bias = self.conv2.bias = None
        self.biases = nn.Parameter(torch.zeros(4))
        self.factor = nn.Parameter(torch.ones(()))

    def residual(self, x: Tensor) -> Tensor:
        y = F.relu(self.conv1(x + self.biases[0]) + self.biases[1])
        return self.factor * self.conv2(y + self.biases[2]) + self.biases[3]


def initialize(
    network: nn.Module, generator: Generator, spec: NetworkSpec, options: CureOptions
) -> None:
    for module in network.modules():
        if isinstance(module, Block):
            module.conv1.weight.div_(sum(spec.stage_blocks) ** 0.5)
            module.conv2.weight.zero_()
    linear = network.get_submodule("linear")
    for parameter in linear.parameters():
        parameter.zero_()
