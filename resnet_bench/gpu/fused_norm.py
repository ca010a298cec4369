"""Batch norm whose output is written once, together with the addition and ReLU that follow it.

The networks' pages stay as they are: `F.relu(norm(x))`, `y = F(x) + x`. The norm computes its
statistics and hands on a `Normed`, which has written nothing yet; an addition waits, too; the ReLU
writes. Whatever else is done with it takes a tensor, which is then written without the ReLU.
"""

from collections.abc import Callable
from functools import cached_property
from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable
from torch.nn import functional as F
from torch.utils._pytree import tree_map_only

from resnet_bench.gpu.norm_operations import norm_gradients, norm_maps, norm_statistics

DTYPES = (torch.float32, torch.bfloat16)


class FusedBatchNorm(nn.BatchNorm2d):
    """Batch norm in training by our kernels; PyTorch's in evaluation and where layers are measured.

    Maps (N, C, H, W) to a `Normed` of this shape.
    """

    def forward(self, input: Tensor) -> Tensor:
        x = written(input)
        if not (self.training and self.track_running_stats and self.affine and x.dtype in DTYPES):
            return super().forward(x)
        if self.momentum is None or x.numel() == x.shape[1] or x.numel() >= 2**31:
            return super().forward(x)  # an average over all batches; an error; too large an index
        if self.num_batches_tracked is not None:
            self.num_batches_tracked.add_(1)
        x = x.contiguous(memory_format=torch.channels_last)
        running = cast(Tensor, self.running_mean), cast(Tensor, self.running_var)
        statistics = norm_statistics(x.detach(), *running, self.momentum, self.eps)
        return cast(Tensor, Normed(x, self.weight, self.bias, *statistics))


class Normed:
    """A batch norm's output, with what was added to it, before anything is written.

    No subclass of Tensor: code that cannot wait fails instead of taking `x` for its norm.
    """

    def __init__(self, *inputs: Tensor, added: Tensor | None = None) -> None:
        self.inputs = inputs  # x, weight, bias, mean and 1 / standard deviation
        self.added = added

    @cached_property
    def tensor(self) -> Tensor:
        """What it stands for, without a ReLU."""
        y = cast(Tensor, Norm.apply(*self.inputs, None, False))
        return y if self.added is None else y + self.added

    def relu(self) -> Tensor:
        return cast(Tensor, Norm.apply(*self.inputs, self.added, True))

    def __add__(self, other: Any) -> Any:
        x, other = self.inputs[0], written(other)
        alike = isinstance(other, Tensor) and (other.shape, other.dtype) == (x.shape, x.dtype)
        if self.added is None and alike:
            return Normed(*self.inputs, added=other)
        return self.tensor + other

    @classmethod
    def __torch_function__(
        cls, function: Callable[..., Any], types: Any, args: Any = (), kwargs: Any = None
    ) -> Any:
        if function in (F.relu, torch.relu) and isinstance(args[0], Normed):
            return args[0].relu()
        return function(*written(args), **written(kwargs or {}))

    def __getattr__(self, name: str) -> Any:
        return getattr(self.tensor, name)


def _operator(name: str) -> Callable[..., Any]:
    return lambda self, *others: getattr(self.tensor, name)(*written(others))


# Python looks operators up in the class.
for _name in ("radd", "sub", "rsub", "mul", "rmul", "truediv", "rtruediv", "pow", "neg", "getitem"):
    setattr(Normed, f"__{_name}__", _operator(f"__{_name}__"))


def written(values: Any) -> Any:
    """`values`, a tree, with a tensor for each `Normed` in it."""
    return tree_map_only(Normed, lambda normed: normed.tensor, values)


class Norm(torch.autograd.Function):
    """y = (x - mean) inverse weight + bias + added, if there is any, and its ReLU, if wanted."""

    @staticmethod
    def forward(
        ctx: Any, x: Tensor, weight: Tensor, bias: Tensor, mean: Tensor, inverse: Tensor,
        added: Tensor | None, relu: bool,
    ) -> Tensor:  # fmt: skip
        if added is not None:
            added = added.contiguous(memory_format=torch.channels_last)
        y = norm_maps(x, added, mean, inverse, weight, bias, relu)
        # Without an addition x says where the ReLU was open, and y is not read.
        ctx.save_for_backward(x, mean, inverse, weight, bias, None if added is None else y)
        ctx.relu = relu
        return y

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        gradient = gradient.contiguous(memory_format=torch.channels_last)
        x, weight, bias, *added = norm_gradients(gradient, *ctx.saved_tensors, ctx.relu)
        return x, weight, bias, None, None, added[0] if added else None, None
