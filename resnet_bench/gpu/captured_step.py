"""A training step that is captured once, without changing the state, then replayed.

What is captured is `eager_step` itself (forward, loss, backward, update, totals), so that the
readable step and the fast one cannot drift apart.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import partial
from typing import cast

import torch
from torch import Tensor, nn

from resnet_bench.gpu.cuda_graphs import Capture, Replayable, Stream
from resnet_bench.training.schedule import learning_rate_at
from resnet_bench.training.state import TrainingState
from resnet_bench.training.step import Batch, Forward, eager_step, forward


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
    forward: Forward = forward  # in a capture
    captured: Replayable | None = None
    captured_state: object = None  # the optimizer's state that the capture works on
    # Destroying a graph frees workspaces that others of its stream still use (pytorch #193402).
    outdated: list[Replayable] = field(default_factory=list)

    @classmethod
    def of(cls, state: TrainingState, forward: Forward = forward) -> "CapturedStep":
        rate = TensorLearningRate(state.optimizer, state.device)
        graph_state = replace(state, optimizer=cast(torch.optim.Optimizer, rate))
        return cls(state, rate, graph_state, forward)

    @property
    def capturable(self) -> bool:
        """Not with a cure's optimizer: a capture would repeat how its state is first made."""
        return type(self.state.optimizer) in (torch.optim.SGD, torch.optim.Adam)

    def needs_capture(self) -> bool:
        if not self.capturable:
            return False
        # Loading a checkpoint copies weights in place but replaces the momentum buffers.
        return self.captured is None or self.captured_state is not self.state.optimizer.state

    def eager(self, batch: Batch, forward: Forward = forward) -> None:
        eager_step([self.graph_state], batch, forward)

    def with_fewer_kernels(self, batch: Batch) -> None:
        """What is captured: `eager`, to the same bits."""
        with fused_batch_counters(self.state.network, forward_passes(self.state)):
            self.eager(batch, self.forward)

    def train(self, batch: Batch, stream: Stream, capture: Capture) -> None:
        """Replay the step on the tensors of `batch`, always the same ones; capture it first."""
        self.rate.set(learning_rate_at(self.state.iteration, self.state.recipe))
        if self.needs_capture():
            self._capture(batch, stream, capture)
        if self.captured:
            self.captured.replay()
        else:
            self.eager(batch)

    def _capture(self, batch: Batch, stream: Stream, capture: Capture) -> None:
        make_state(self.state.optimizer)
        if self.captured is not None:
            self.outdated.append(self.captured)
        self.captured = capture(
            partial(self.with_fewer_kernels, batch),
            f"{self.state.run.name}: its step",
            stream,
            partial(restored_afterwards, self.state),
        )
        self.captured_state = self.state.optimizer.state


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
    """Within the context `state` may train; afterwards its tensors are restored, in place.

    Its gradients are gone: a capture makes them in its graph's own memory pool.
    """
    tensors: list[Tensor] = [*state.network.parameters(), *state.network.buffers()]
    for buffers in state.optimizer.state.values():
        tensors += [value for value in buffers.values() if isinstance(value, Tensor)]
    tensors += vars(state.totals).values()
    saved = [tensor.detach().clone() for tensor in tensors]
    yield
    with torch.no_grad():
        for tensor, value in zip(tensors, saved, strict=True):
            tensor.copy_(value)
    state.optimizer.zero_grad()


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
