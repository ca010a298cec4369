"""Under bf16, the weights of all layers are cast in one operation, and so are their gradients.

Autocast casts layer by layer, two kernels of a few microseconds each; the numbers are the same.
"""

from dataclasses import replace
from functools import partial
from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.func import functional_call

from resnet_bench.training.precision import executed_precision
from resnet_bench.training.state import TrainingState
from resnet_bench.training.step import forward


class _CastTogether(torch.autograd.Function):
    """Weights in bfloat16; backward, their gradients in the weights' own precision."""

    @staticmethod
    def forward(ctx: Any, *weights: Tensor) -> tuple[Tensor, ...]:
        return _copied(weights, torch.bfloat16)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, ...]:
        return _copied(gradients, torch.float32)


def _copied(tensors: tuple[Tensor, ...], dtype: torch.dtype) -> tuple[Tensor, ...]:
    copies = [torch.empty_like(tensor, dtype=dtype) for tensor in tensors]
    torch._foreach_copy_(copies, tensors)
    return tuple(copies)


def forward_with_shared_casts(state: TrainingState, images: Tensor) -> Tensor:
    """`forward`, to the same bits.

    With cures autocast casts: a block of theirs may compute with a layer's weights itself, which
    are then float32, or leave a layer out, whose weights then have no gradient.
    """
    precision = executed_precision(state.recipe.precision, state.device)
    if precision != "bf16" or state.run.experiment.cures:
        return forward(state, images)
    weights = cast_weights(state.network)
    casts = dict(zip(weights, _CastTogether.apply(*weights.values()), strict=True))
    network = partial(functional_call, state.network, casts)
    return forward(replace(state, network=cast(nn.Module, network)), images)


def cast_weights(network: nn.Module) -> dict[str, nn.Parameter]:
    """The parameters that autocast casts, by name."""
    return {
        f"{layer_name}.{name}": parameter
        for layer_name, layer in network.named_modules()
        if isinstance(layer, nn.Conv2d | nn.Linear)
        for name, parameter in layer.named_parameters()
    }
