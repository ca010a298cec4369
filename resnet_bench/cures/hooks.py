"""What a cure may define: four hooks and a model of its options.

A cure is a Python file in experiments/cures/. Whatever it does not define stays as it is in the
control: the same initial weights, block, optimizer and gradients. Names that begin with an
underscore are its own.
"""

from collections.abc import Callable
from typing import Any, Protocol

import numpy as np
import torch
from pydantic import BaseModel, ConfigDict
from torch import nn

from resnet_bench.suites.network import NetworkSpec
from resnet_bench.suites.recipe import Recipe

# A source of random numbers for the tensor of this name, and for no other: two networks that share
# a tensor's name draw the same numbers for it. There is no other source: what a cure draws from
# torch's, numpy's or Python's global stream is refused.
Generator = Callable[[str], np.random.Generator]


class CureOptions(BaseModel):
    """The options of a cure, checked like a suite file; a cure's `Options` derives from it."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, allow_inf_nan=False)


class Initialize(Protocol):
    """Initial weights: changes the parameters of `network` in place.

    They hold those of the control before. The modules have the names that all networks share:
    conv, bn, stages.<stage>.<block>.conv1, bn1, conv2, bn2, linear.
    """

    def __call__(
        self, network: nn.Module, generator: Generator, spec: NetworkSpec, options: Any
    ) -> None: ...


class MakeBlock(Protocol):
    """The block that stages are made of: maps (N, inputs, H, W) to (N, width, H / stride, ...).

    Usually a class that derives from networks.cifar.Block. Its convolutions, batch norms and
    linear layers get the control's initial weights by name; other parameters keep their values.
    """

    def __call__(
        self, inputs: int, width: int, stride: int, spec: NetworkSpec, options: Any
    ) -> nn.Module: ...


class MakeOptimizer(Protocol):
    """The optimizer; the learning-rate schedule sets the "lr" of its groups at every iteration.

    It has every parameter once, at the recipe's learning rate: a factor for some of them is a key
    of their group. Its settings belong into its groups, and its memory into its `state`, as in
    PyTorch's own: copies and checkpoints hold nothing else.
    """

    def __call__(
        self, parameters: list[nn.Parameter], recipe: Recipe, options: Any
    ) -> torch.optim.Optimizer: ...


class OnGradients(Protocol):
    """Called at every iteration, after the gradients are there and before the update.

    Operations on tensors only: no number may be read from a GPU here. May change gradients and
    buffers of `network`, in place.
    """

    def __call__(self, network: nn.Module, recipe: Recipe, options: Any) -> None: ...


HOOKS = {
    "initialize": Initialize,
    "Block": MakeBlock,
    "optimizer": MakeOptimizer,
    "on_gradients": OnGradients,
}
