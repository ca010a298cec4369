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

from resnet_bench.networks.cifar import Block
from resnet_bench.suites.recipe import Recipe


@torch.no_grad()
def initialize(network: nn.Module, seed: int, recipe: Recipe) -> None:
    """Set all parameters and batch norm statistics of `network` in place.

    Convolutions, as the recipe says: normal with deviation sqrt(2 / fan), He et al. 2015b (which
    section 3.4 cites), biases zero; Xavier's uniform, +-sqrt(6 / (fan_in + fan_out)); PyTorch's
    uniform, +-1/sqrt(fan_in), which is that of biases beside Xavier, too. The linear layer
    likewise. Batch norm: 1 and 0; with `last_scale` "zero" each block's last scale is 0, so that
    the block begins as its shortcut (Goyal et al. 2017, section 5.1).
    """
    for name, module in network.named_modules():
        if isinstance(module, nn.BatchNorm2d):
            module.reset_parameters()
        elif isinstance(module, nn.Conv2d):
            _initialize_weight(module.weight, recipe.initialization, seed, f"{name}.weight")
            if module.bias is not None:
                he = recipe.initialization.startswith("he")
                _initialize_bias(module, "zero" if he else "pytorch", seed, f"{name}.bias")
        elif isinstance(module, nn.Linear):
            how = recipe.linear_initialization
            _initialize_weight(
                module.weight, "he-fan-in" if how == "he" else how, seed, f"{name}.weight"
            )
            _initialize_bias(module, "zero" if how == "he" else "pytorch", seed, f"{name}.bias")
    if recipe.last_scale == "zero":
        for module in network.modules():
            if isinstance(module, Block):
                module.last_norm.weight.zero_()


def _initialize_weight(weight: Tensor, how: str, seed: int, name: str) -> None:
    """`weight` is (outputs, inputs, ...): a kernel's area belongs to both fans."""
    area = math.prod(weight.shape[2:])
    fan_out, fan_in = weight.shape[0] * area, weight.shape[1] * area
    if how == "xavier":
        _fill_uniform(weight, math.sqrt(6 / (fan_in + fan_out)), seed, name)
    elif how == "pytorch":
        _fill_uniform(weight, 1 / math.sqrt(fan_in), seed, name)
    else:
        fan = fan_out if how == "he-fan-out" else fan_in
        _fill_normal(weight, math.sqrt(2 / fan), seed, name)


def _initialize_bias(layer: nn.Conv2d | nn.Linear, how: str, seed: int, name: str) -> None:
    assert layer.bias is not None
    if how == "zero":
        layer.bias.zero_()
    else:
        _fill_uniform(layer.bias, 1 / math.sqrt(layer.weight[0].numel()), seed, name)


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


def generator(seed: int, name: str) -> np.random.Generator:
    """The random numbers of the tensor called `name`, at this seed."""
    # numpy's generators draw the same numbers on every processor; torch's vectorised normal
    # need not.
    words = np.frombuffer(hashlib.sha256(name.encode()).digest(), dtype=np.uint32)
    return np.random.Generator(np.random.PCG64(np.random.SeedSequence((seed, *words.tolist()))))


def _fill_normal(tensor: Tensor, deviation: float, seed: int, name: str) -> None:
    values = generator(seed, name).standard_normal(tuple(tensor.shape)) * deviation
    tensor.copy_(torch.from_numpy(values))


def _fill_uniform(tensor: Tensor, bound: float, seed: int, name: str) -> None:
    values = generator(seed, name).uniform(-bound, bound, tuple(tensor.shape))
    tensor.copy_(torch.from_numpy(values))
