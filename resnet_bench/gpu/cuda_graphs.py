"""Work on a GPU as a CUDA graph: captured once, then replayed with one call."""

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from typing import Any, Protocol

import torch

from resnet_bench.errors import CaptureError, RunError

WARM_UP_STEPS = 3  # before a capture: libraries choose their kernels and make their workspaces
Stream = Any  # torch.cuda.Stream; on a CPU torch.cpu.Stream, which does nothing


class Replayable(Protocol):
    """The result of a capture: `replay` does the work again, on the same tensors."""

    def replay(self) -> None: ...


class Capture(Protocol):
    """`capture_graph`, or its stand-in in tests."""

    def __call__(
        self,
        work: Callable[[], None],
        name: str,
        stream: Stream,
        undone: Callable[[], AbstractContextManager[object]] = nullcontext,
    ) -> Replayable: ...


def capture_graph(
    work: Callable[[], None],
    name: str,
    stream: Stream,
    undone: Callable[[], AbstractContextManager[object]] = nullcontext,
) -> torch.cuda.CUDAGraph:
    """Capture `work`, which errors call `name`, as a graph with its own memory pool.

    The work is done a few times before, within `undone()`, which takes back what it changes.
    Captured on its lane's stream: a graph holds the address of its stream's cuBLAS workspace,
    which only graphs that never run at the same time may share.
    Raises CaptureError, which says what to do, if the work cannot be captured, and
    torch.OutOfMemoryError.
    """
    current = torch.cuda.current_stream(stream.device)
    stream.wait_stream(current)
    # Backward remembers streams, so the warm-up runs where the capture will; and all that the
    # capture uses, a library may have to load first.
    with torch.cuda.stream(stream), undone():
        for _ in range(WARM_UP_STEPS):
            work()
    graph = torch.cuda.CUDAGraph()
    try:
        # thread_local: CUDA calls of other threads, such as a loader's, do not end the capture.
        with torch.cuda.graph(graph, stream=stream, capture_error_mode="thread_local"):
            work()
    except (RuntimeError, RunError) as error:
        # A failed capture leaves torch's stream and allocator in it.
        raise CaptureError(
            f"{name} cannot be captured as a CUDA graph "
            f"({first_reason(error)}); --no-graphs trains without, to the same bits"
        ) from error
    current.wait_stream(stream)
    return graph


def first_reason(error: BaseException) -> str:
    """The first error, in a line: ending the capture raises another, which hides it."""
    while error.__context__ is not None and not isinstance(error, RunError):
        error = error.__context__
    if isinstance(error, torch.OutOfMemoryError):
        return "the GPU's memory is full"
    return str(error).strip().partition("\n")[0]
