"""Which code computes batch norm on a GPU: a choice of execution, which decides the last bits."""

from collections.abc import Iterable
from importlib.util import find_spec
from typing import Any

from torch import Tensor, backends, nn

from resnet_bench.errors import UserError
from resnet_bench.gpu.setting import Norm


class NativeBatchNorm(nn.BatchNorm2d):
    """Batch norm by PyTorch's own kernels.

    cuDNN's for float32 in channels_last order hold the whole GPU while they run, and may wait for
    another lane's for ever (pytorch #80259).
    """

    def forward(self, input: Tensor) -> Tensor:
        backends.cudnn.enabled = False
        try:
            return super().forward(input)
        finally:
            backends.cudnn.enabled = True


def use_norm(network: nn.Module, norm: Norm) -> None:
    """Have `norm` compute the batch norms of `network`, in place; UserError if it is not there."""
    kind = _kind(norm)
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.__class__ = kind


def _kind(norm: Norm) -> type[nn.BatchNorm2d]:
    if norm != "fused":
        return NativeBatchNorm if norm == "native" else nn.BatchNorm2d
    if find_spec("triton") is None:
        raise UserError("--norm fused needs Triton, which PyTorch for CUDA has on Linux")
    from resnet_bench.gpu.fused_norm import FusedBatchNorm

    return FusedBatchNorm


def chosen_norm(
    attempts: Iterable[dict[str, Any]], wanted: Norm | None, usual: Norm | None
) -> Norm:
    """`wanted`, else what a suite's `attempts` on a GPU had, else the `usual` one, else cuDNN's.

    Raises UserError if that is not what all of them had: a run that is resumed has the bits of
    one that was not interrupted, and the runs of a suite are compared.
    """
    before: set[Norm] = {attempt["norm"] for attempt in attempts if attempt.get("norm")}
    norm = wanted or next(iter(before), usual) or "cudnn"
    if before - {norm}:
        raise UserError(
            f"batch norm by {norm!r} would be mixed with"
            f" {' and '.join(map(repr, sorted(before)))}, which this suite's runs have:"
            " give --norm as they had it, or another --results"
        )
    return norm
