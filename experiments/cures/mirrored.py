"""Mirrored weights: the network is linear at the start ("looks linear").

Balduzzi et al. 2017, "The Shattered Gradients Problem" (arXiv 1702.08591), section 5. Every second
half of the channels is the negative of the first half, and every convolution is
[[W, -W], [-W, W]]. Then relu(x) - relu(-x) = x: what a convolution computes is linear in the
network's input, and gradients neither shatter nor explode. Batch norm keeps it so, as a channel
and its mirror image have opposite means and equal variances. Each W is orthogonal or Gaussian.
This holds for plain networks: a ReLU after an addition is not undone by the mirror image.
"""

import math
from typing import Literal

import numpy as np
import torch
from torch import Tensor, nn

from resnet_bench.cures.hooks import CureOptions, Generator
from resnet_bench.suites.network import NetworkSpec


class Options(CureOptions):
    weights: Literal["orthogonal", "gaussian"] = "orthogonal"
    gain: float = 1.0  # of the orthogonal W; a Gaussian's variance is gain / fan-in


def initialize(
    network: nn.Module, generator: Generator, spec: NetworkSpec, options: Options
) -> None:
    for name, module in network.named_modules():
        if isinstance(module, nn.Conv2d):
            outputs, inputs, *kernel = module.weight.shape
            is_first = name == "conv"  # images have no mirrored channels
            shape = (outputs // 2, inputs if is_first else inputs // 2, *kernel)
            half = _matrix(shape, generator(f"{name}.weight"), options)
            rows = torch.cat([half, -half])
            module.weight.copy_(rows if is_first else torch.cat([rows, -rows], dim=1))
        elif isinstance(module, nn.Linear):
            half = module.weight[:, : module.in_features // 2]
            module.weight.copy_(torch.cat([half, -half], dim=1))


def _matrix(shape: tuple[int, ...], random: np.random.Generator, options: Options) -> Tensor:
    """W of `shape`: orthogonal rows or columns when flattened to a matrix, or Gaussian."""
    rows, columns = shape[0], math.prod(shape[1:])
    values = random.standard_normal((max(rows, columns), min(rows, columns)))
    if options.weights == "gaussian":
        flat = values.reshape(rows, columns) * math.sqrt(options.gain / columns)
    else:
        q, r = np.linalg.qr(values)
        q *= np.sign(np.diag(r))
        flat = options.gain * (q if rows >= columns else q.T)
    return torch.from_numpy(flat.reshape(shape)).float()
