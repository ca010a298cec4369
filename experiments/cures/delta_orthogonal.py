"""Delta-orthogonal weights: orthogonal at the kernel's centre, zero elsewhere.

Xiao et al. 2018 (arXiv 1806.05393), algorithm 1: a convolution that preserves the norm of every
signal, with which plain tanh networks of 10,000 layers train. Rows are orthogonal where there are
fewer outputs than inputs.
"""

import numpy as np
import torch
from torch import nn

from resnet_bench.cures.hooks import CureOptions, Generator
from resnet_bench.suites.network import NetworkSpec


class Options(CureOptions):
    gain: float = 2**0.5  # for ReLU, which halves the square


def initialize(
    network: nn.Module, generator: Generator, spec: NetworkSpec, options: Options
) -> None:
    for name, module in network.named_modules():
        if isinstance(module, nn.Conv2d):
            outputs, inputs, height, width = module.weight.shape
            shape = (max(outputs, inputs), min(outputs, inputs))
            q, r = np.linalg.qr(generator(f"{name}.weight").standard_normal(shape))
            q *= np.sign(np.diag(r))
            matrix = torch.from_numpy(q if outputs >= inputs else q.T).float()
            module.weight.zero_()
            module.weight[:, :, height // 2, width // 2] = options.gain * matrix
