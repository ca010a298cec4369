"""The added layers begin as identities: an untrained shallow network, as deep as asked for.

The argument of He et al. 2015, section 1, used as initial weights: the first blocks of each stage
are those of a network of `shallow` layers, the others compute the identity. A plain block is two
identity convolutions (Dirac kernels) whose batch norms undo their own normalisation: scale and
shift are deviation and mean of a ReLU of a standard normal number, which is what a block receives
at the start. A residual block begins with a zero last scale (Goyal et al. 2017, arXiv 1706.02677).
"""

import math

from pydantic import Field
from torch import nn

from resnet_bench.cures.hooks import CureOptions, Generator
from resnet_bench.networks.cifar import Block
from resnet_bench.suites.network import NetworkSpec

MEAN = 1 / math.sqrt(2 * math.pi)  # of relu(z), z standard normal
DEVIATION = math.sqrt(1 / 2 - 1 / (2 * math.pi))


class Options(CureOptions):
    shallow: int = Field(default=20, ge=8)  # 6n+2 layers that keep their usual initial weights


def initialize(
    network: nn.Module, generator: Generator, spec: NetworkSpec, options: Options
) -> None:
    usual = (options.shallow - 2) // spec.layers_per_n
    for stage in network.get_submodule("stages").children():
        for block in list(stage.children())[usual:]:
            assert isinstance(block, Block)
            if block.has_shortcut:
                block.last_norm.weight.zero_()
                continue
            for convolution, norm in ((block.conv1, block.bn1), (block.conv2, block.bn2)):
                assert isinstance(norm, nn.BatchNorm2d)
                nn.init.dirac_(convolution.weight)
                nn.init.constant_(norm.weight, DEVIATION)
                nn.init.constant_(norm.bias, MEAN)
