"""Which code computes batch norm on a GPU: a choice of execution, which decides the last bits."""

from collections.abc import Iterable
from typing import Any, Literal, get_args

from torch import Tensor, backends, nn

from resnet_bench.errors import UserError

Norm = Literal["cudnn", "native"]
NORMS: tuple[Norm, ...] = get_args(Norm)


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
    """Have `norm` compute the batch norms of `network`, in place."""
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.__class__ = NativeBatchNorm if norm == "native" else nn.BatchNorm2d


def chosen_norm(
    attempts: Iterable[dict[str, Any]], wanted: Norm | None, usual: Norm | None
) -> Norm:
    """`wanted`, else what earlier `attempts` on a GPU had, else the `usual` one, else cuDNN's.

    Raises UserError if that is not what all of them had: a run that is resumed has the bits of
    one that was not interrupted, and the runs of a group are compared.
    """
    before: set[Norm] = {attempt["norm"] for attempt in attempts if attempt.get("norm")}
    norm = wanted or next(iter(before), usual) or "cudnn"
    if before - {norm}:
        raise UserError(
            f"batch norm by {norm!r} would go on with runs that began with"
            f" {' and '.join(map(repr, sorted(before)))}: give --norm as they had it"
        )
    return norm
