"""A stand-in for CUDA graphs: records the operations of some work, replays them on its storages.

As on a GPU, Python does not run again: a number, or a tensor that was replaced since, stays what
it was at the capture, and work that reads a value cannot be captured. For use with the real
`capture_graph`.
"""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from types import SimpleNamespace
from typing import Any
from unittest.mock import patch

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from resnet_bench.gpu.cuda_graphs import Stream, capture_graph

STREAM = SimpleNamespace(device=torch.device("cpu"), wait_stream=lambda other: None)


class Recording(TorchDispatchMode):
    """The operations of a capture; in place of torch.cuda.CUDAGraph."""

    def __init__(self) -> None:
        super().__init__()
        self.operations: list[tuple[Any, Any, Any, Any]] = []
        self.replays = 0

    def __torch_dispatch__(
        self, function: Any, types: Any, args: Any = (), kwargs: Any = None
    ) -> Any:
        if function is torch.ops.aten._local_scalar_dense.default:
            raise RuntimeError("CUDA error: operation not permitted when stream is capturing")
        made = function(*args, **(kwargs or {}))
        self.operations.append((function, args, kwargs or {}, made))
        return made

    @torch.no_grad()
    def replay(self) -> None:
        self.replays += 1
        for function, args, kwargs, made in self.operations:
            again = tree_leaves(function(*args, **kwargs))
            for old, new in zip(tree_leaves(made), again, strict=True):
                # Views and arguments changed in place share the storage already.
                if isinstance(old, Tensor) and old.data_ptr() != new.data_ptr():
                    old.copy_(new)


def record_graph(
    work: Callable[[], None],
    name: str,
    stream: Stream,
    undone: Callable[[], AbstractContextManager[object]] = nullcontext,
    warm_up: AbstractContextManager[object] = nullcontext(),  # noqa: B008
) -> Recording:
    """`capture_graph` with the stand-in: it executes nothing, so the work is undone.

    The capture's warm-up runs within `warm_up`.
    """

    @contextmanager
    def graph(recording: Recording, **_: Any) -> Iterator[None]:
        with undone(), recording:
            yield

    with patch.multiple(
        torch.cuda,
        CUDAGraph=Recording,
        graph=graph,
        stream=lambda _: warm_up,
        current_stream=lambda _: STREAM,
    ):
        made: Any = capture_graph(work, name, STREAM, undone)
    assert isinstance(made, Recording)
    return made
