"""Initial weights as a pure function of (seed, tensor's name, shape): what makes networks match.

Drawn tensor by tensor, from a generator of the tensor's own, so that a tensor that two networks
share by name and shape holds the same values in both, whatever else they have. So plain and
option A start from identical tensors, B and C from identical ones plus their projections.
"""

import hashlib
import math

import numpy as np
import torch
from torch import Tensor, nn

from resnet_bench.specification import Recipe


@torch.no_grad()
def initialize(network: nn.Module, seed: int, recipe: Recipe) -> None:
    """Set all parameters and batch norm statistics of `network` in place.

    Convolutions: normal, deviation sqrt(2 / fan), He et al. 2015b (section 3.4 cites it). Linear
    layer: PyTorch's uniform, +-1/sqrt(fan_in), weight and bias, or He's. Batch norm: 1 and 0.
    """
    for name, module in network.named_modules():
        if isinstance(module, nn.BatchNorm2d):
            module.reset_parameters()
        elif isinstance(module, nn.Conv2d):
            area = module.kernel_size[0] * module.kernel_size[1]
            fan_in = recipe.initialization == "he-fan-in"
            fan = area * (module.in_channels if fan_in else module.out_channels)
            _fill_normal(module.weight, math.sqrt(2 / fan), seed, f"{name}.weight")
        elif isinstance(module, nn.Linear):
            bound = 1 / math.sqrt(module.in_features)
            if recipe.linear_initialization == "he":
                deviation = math.sqrt(2 / module.in_features)
                _fill_normal(module.weight, deviation, seed, f"{name}.weight")
                module.bias.zero_()
            else:
                _fill_uniform(module.weight, bound, seed, f"{name}.weight")
                _fill_uniform(module.bias, bound, seed, f"{name}.bias")


def digest(network: nn.Module, *, shared_only: bool = False) -> str:
    """SHA-256 over the tensors of the state dict, sorted by name.

    With `shared_only`, without those of the shortcuts, which plain networks lack.
    """
    sha = hashlib.sha256()
    for name, tensor in sorted(network.state_dict().items()):
        if shared_only and ".projection." in name:
            continue
        sha.update(name.encode())
        sha.update(tensor.detach().cpu().contiguous().numpy().tobytes())
    return sha.hexdigest()


def _generator(seed: int, name: str) -> np.random.Generator:
    # numpy's generators draw the same numbers on every processor; torch's vectorised normal
    # need not.
    words = np.frombuffer(hashlib.sha256(name.encode()).digest(), dtype=np.uint32)
    return np.random.Generator(np.random.PCG64(np.random.SeedSequence((seed, *words.tolist()))))


def _fill_normal(tensor: Tensor, deviation: float, seed: int, name: str) -> None:
    values = _generator(seed, name).standard_normal(tuple(tensor.shape)) * deviation
    tensor.copy_(torch.from_numpy(values))


def _fill_uniform(tensor: Tensor, bound: float, seed: int, name: str) -> None:
    values = _generator(seed, name).uniform(-bound, bound, tuple(tensor.shape))
    tensor.copy_(torch.from_numpy(values))
