"""A training step as a CUDA graph: captured once, without changing the state, then replayed.

What is captured is `eager_step` itself (forward, loss, backward, update, totals), so that the
readable step and the fast one cannot drift apart.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Any, Protocol, cast

import torch
from torch import Tensor, nn

from resnet_bench.errors import CaptureError, RunError
from resnet_bench.training.state import TrainingState
from resnet_bench.training.step import Batch, eager_step

WARM_UP_STEPS = 3  # before a capture: libraries choose their kernels and make their workspaces
Stream = Any  # torch.cuda.Stream, or None on a CPU


class Replayable(Protocol):
    """The result of a capture: `replay` trains one step on the shared batch."""

    def replay(self) -> None: ...


class TensorLearningRate:
    """An optimizer whose learning rate is a tensor, so that a captured step can read a new one.

    A Python number would be frozen into a captured graph. `eager_step` sets the rate of each of
    `param_groups`, and this class shows it none. Outside a step the groups hold the number, so
    that a checkpoint does not depend on how the steps were executed.
    """

    param_groups = ()

    def __init__(self, optimizer: torch.optim.Optimizer, device: torch.device) -> None:
        self.optimizer = optimizer
        self.rate = torch.zeros((), device=device)  # float32 is what the fused kernel reads
        self.number: float | None = None

    def set(self, number: float) -> None:
        if number != self.number:
            self.rate.fill_(number)  # a kernel with the number as its argument: no waiting
            self.number = number
        for group in self.optimizer.param_groups:
            group["lr"] = number

    def zero_grad(self) -> None:
        self.optimizer.zero_grad()

    def step(self) -> None:
        groups = self.optimizer.param_groups
        numbers = [group["lr"] for group in groups]
        for group in groups:
            group["lr"] = self.rate
        self.optimizer.step()
        for group, number in zip(groups, numbers, strict=True):
            group["lr"] = number


@dataclass
class CapturedStep:
    """The step of one run in its lane: captured once it has run, eager before."""

    state: TrainingState
    rate: TensorLearningRate
    graph_state: TrainingState  # the state with `rate` as optimizer: what `eager_step` gets
    captured: Replayable | None = None
    captured_state: object = None  # the optimizer's state that the capture works on
    # Destroying a graph frees workspaces that others of its stream still use (pytorch #193402).
    outdated: list[Replayable] = field(default_factory=list)

    @classmethod
    def of(cls, state: TrainingState) -> "CapturedStep":
        rate = TensorLearningRate(state.optimizer, state.device)
        graph_state = replace(state, optimizer=cast(torch.optim.Optimizer, rate))
        return cls(state, rate, graph_state)

    @property
    def capturable(self) -> bool:
        """Not with a cure's optimizer: a capture would repeat how its state is first made."""
        return type(self.state.optimizer) in (torch.optim.SGD, torch.optim.Adam)

    def needs_capture(self) -> bool:
        if not self.capturable:
            return False
        # Loading a checkpoint copies weights in place but replaces the momentum buffers.
        return self.captured is None or self.captured_state is not self.state.optimizer.state

    def eager(self, batch: Batch) -> None:
        eager_step([self.graph_state], batch)

    def with_fused_counters(self, batch: Batch) -> None:
        """What is captured: `eager` with fewer kernels."""
        with fused_batch_counters(self.state.network, forward_passes(self.state)):
            self.eager(batch)


def capture_graph(step: CapturedStep, batch: Batch, stream: Stream) -> torch.cuda.CUDAGraph:
    """Capture `step` on the tensors of `batch` as a graph with its own memory pool.

    Captured on the lane's stream: a graph holds the address of its stream's cuBLAS workspace,
    which only graphs that never run at the same time may share.
    Raises CaptureError, which says what to do, if the step cannot be captured, and
    torch.OutOfMemoryError.
    """
    current = torch.cuda.current_stream(stream.device)
    stream.wait_stream(current)
    # Backward remembers streams, so the warm-up runs where the capture will; and all that the
    # capture uses, a library may have to load first.
    with torch.cuda.stream(stream), restored_afterwards(step.state):
        for _ in range(WARM_UP_STEPS):
            step.with_fused_counters(batch)
    step.state.optimizer.zero_grad()  # the capture makes gradients in the graph's own pool
    graph = torch.cuda.CUDAGraph()
    try:
        # thread_local: CUDA calls of other threads, such as a loader's, do not end the capture.
        with torch.cuda.graph(graph, stream=stream, capture_error_mode="thread_local"):
            step.with_fused_counters(batch)
    except (RuntimeError, RunError) as error:
        # A failed capture leaves torch's stream and allocator in it.
        raise CaptureError(
            f"{step.state.run.name}: its step cannot be captured as a CUDA graph "
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


def forward_passes(state: TrainingState) -> int:
    """Forward passes a batch: one, or one for each batch norm group."""
    recipe = state.recipe
    if recipe.batch_norm_images == "batch":
        return 1
    return recipe.batch_size // recipe.batch_norm_images


def make_state(optimizer: torch.optim.Optimizer) -> None:
    """Create the optimizer's buffers, as zeros, where there are none yet.

    Without them the first step takes another code path, and a capture would repeat that one. From
    zeros the ordinary path computes the same (SGD has no dampening).
    """
    if isinstance(optimizer, torch.optim.Adam):
        names = ["step", "exp_avg", "exp_avg_sq"]
    else:
        names = ["momentum_buffer"] if optimizer.defaults["momentum"] else []
    for group in optimizer.param_groups:
        for parameter in group["params"]:
            state = optimizer.state[parameter] if names else {}
            for name in names:
                if state.get(name) is None:
                    like = parameter.new_zeros(()) if name == "step" else parameter
                    state[name] = torch.zeros_like(like)


@contextmanager
def restored_afterwards(state: TrainingState) -> Iterator[None]:
    """Within the context `state` may train; afterwards its tensors are restored, in place."""
    tensors: list[Tensor] = [*state.network.parameters(), *state.network.buffers()]
    for buffers in state.optimizer.state.values():
        tensors += [value for value in buffers.values() if isinstance(value, Tensor)]
    tensors += vars(state.totals).values()
    saved = [tensor.detach().clone() for tensor in tensors]
    yield
    with torch.no_grad():
        for tensor, value in zip(tensors, saved, strict=True):
            tensor.copy_(value)


@contextmanager
def fused_batch_counters(network: nn.Module, passes: int) -> Iterator[None]:
    """Within the context, all of batch norm's batch counters rise by `passes` in one operation.

    One by one they are a tenth of a small network's kernels. Only the state dict needs them, since
    the momentum of the statistics is fixed.
    """
    norms = [module for module in network.modules() if isinstance(module, nn.BatchNorm2d)]
    counters = [cast(Tensor, norm.num_batches_tracked) for norm in norms]
    for norm in norms:
        norm.num_batches_tracked = None
    try:
        yield
        if counters:  # there are networks without batch norm
            torch._foreach_add_(counters, passes)
    finally:
        for norm, counter in zip(norms, counters, strict=True):
            norm.num_batches_tracked = counter
