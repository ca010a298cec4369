"""A step captured without a trace on its state, with a stand-in for CUDA."""

import copy
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from types import SimpleNamespace

import pytest
import torch
from torch import nn

from resnet_bench.errors import CaptureError
from resnet_bench.gpu.captured_step import (
    CapturedStep,
    TensorLearningRate,
    make_state,
    restored_afterwards,
)
from resnet_bench.gpu.cuda_graphs import capture_graph
from resnet_bench.networks.initialization import digest
from resnet_bench.training.batches import BatchStream
from resnet_bench.training.state import TrainingState
from resnet_bench.training.step import Batch
from tests.support.lanes import NAMES, assert_equal, run_all
from tests.support.states import CPU, data_of, states_of


def test_a_warm_up_leaves_no_trace_on_adam() -> None:
    (state,) = states_of(f"{NAMES[0]}+optimizer=adam")
    batch = data_of(state.run.experiment).batch(BatchStream(state.recipe, 1437, 0).draw(0))
    step = CapturedStep.of(state)
    step.rate.set(0.5)
    make_state(state.optimizer)
    before = copy.deepcopy(state)
    with restored_afterwards(state):
        step.eager(batch)
        assert digest(state.network) != digest(before.network)
    assert_equal([state], [before])


def test_a_warm_up_leaves_no_trace_and_no_new_addresses() -> None:
    (state,) = states_of(NAMES[2])
    data = data_of(state.run.experiment)
    batch = data.batch(BatchStream(state.recipe, 1437, 0).draw(0))
    step = CapturedStep.of(state)
    step.rate.set(0.5)
    make_state(state.optimizer)
    before = copy.deepcopy(state)

    def addresses() -> list[int]:
        states = state.optimizer.state.values()
        tensors = [*state.network.state_dict().values(), *vars(state.totals).values()]
        return [t.data_ptr() for t in (*tensors, *(s["momentum_buffer"] for s in states))]

    places = addresses()
    with restored_afterwards(state):
        step.eager(batch)
        assert digest(state.network) != digest(before.network)
    assert_equal([state], [before])
    assert addresses() == places


def test_zero_momentum_buffers_change_nothing() -> None:
    (ours,), (reference,) = states_of(NAMES[0]), states_of(NAMES[0])
    make_state(ours.optimizer)
    run_all([ours], None)
    run_all([reference], None)
    assert_equal([ours], [reference])
    (still,) = states_of(f"{NAMES[0]}+momentum=0.0")
    make_state(still.optimizer)
    assert not still.optimizer.state


def test_the_rate_is_a_tensor_inside_a_step_and_a_number_outside() -> None:
    (state,) = states_of(NAMES[0])
    rate = TensorLearningRate(state.optimizer, CPU)
    seen = []
    state.optimizer.register_step_pre_hook(
        lambda optimizer, *_: seen.append(optimizer.param_groups[0]["lr"])
    )
    for number in (0.5, 0.25):
        rate.set(number)
        rate.step()
        assert state.optimizer.param_groups[0]["lr"] == number
        assert float(rate.rate) == number
    assert [type(value) for value in seen] == [torch.Tensor, torch.Tensor]
    assert seen[0] is seen[1]  # one address for all rates


class NotedCuda:
    """A CUDA that only takes notes, in `log`: a capture executes nothing, or fails."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, failure: Exception | None = None) -> None:
        self.log: list[str] = []
        self.failure = failure
        self.lane, self.main = self._stream("lane"), self._stream("main")
        monkeypatch.setattr(torch.cuda, "current_stream", lambda _: self.main)
        monkeypatch.setattr(torch.cuda, "stream", self.stream)
        monkeypatch.setattr(torch.cuda, "graph", self.graph)
        monkeypatch.setattr(torch.cuda, "CUDAGraph", object)
        self.state: TrainingState | None = None

    def _stream(self, name: str) -> SimpleNamespace:
        def wait(other: SimpleNamespace) -> None:
            self.log.append(f"{name} waits for {other.name}")

        return SimpleNamespace(name=name, device=CPU, wait_stream=wait)

    def capture(self, step: CapturedStep, batch: Batch) -> None:
        self.state = step.state
        work = partial(step.with_fewer_kernels, batch)
        undone = partial(restored_afterwards, step.state)
        capture_graph(work, f"{step.state.run.name}: its step", self.lane, undone)

    @contextmanager
    def stream(self, used: SimpleNamespace) -> Iterator[None]:
        self.log.append(f"on {used.name}")
        yield
        self.log.append("off")

    @contextmanager
    def graph(
        self, made: object, *, stream: SimpleNamespace, capture_error_mode: str
    ) -> Iterator[None]:
        assert self.state is not None
        assert capture_error_mode == "thread_local"  # other threads may pin memory meanwhile
        assert all(parameter.grad is None for parameter in self.state.network.parameters())
        self.log.append(f"captured on {stream.name}")
        try:
            with restored_afterwards(self.state):
                yield
                if self.failure:
                    raise self.failure
        finally:
            if self.failure:  # CUDA ends a capture that is broken with an error of its own
                raise RuntimeError("CUDA error: failed due to a previous error during capture")


def test_a_capture_warms_up_on_the_lanes_stream_and_changes_nothing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    (state,), (reference,) = states_of(NAMES[2]), states_of(NAMES[2])
    batch = data_of(state.run.experiment).batch(BatchStream(state.recipe, 1437, 0).draw(0))
    make_state(state.optimizer)
    make_state(reference.optimizer)
    step, cuda = CapturedStep.of(state), NotedCuda(monkeypatch)
    step.rate.set(state.recipe.learning_rate)
    cuda.capture(step, batch)
    assert cuda.log == [
        *("lane waits for main", "on lane", "off"),
        *("captured on lane", "main waits for lane"),
    ]
    assert_equal([state], [reference])


@pytest.mark.parametrize(
    ("failure", "reason"),
    [
        (RuntimeError("CUDA error: not permitted\nCompile with ..."), "CUDA error: not permitted"),
        (torch.OutOfMemoryError("CUDA out of memory. Tried ..."), "the GPU's memory is full"),
    ],
)
def test_a_step_that_cannot_be_captured_is_one_line_with_the_way_out(
    monkeypatch: pytest.MonkeyPatch, failure: Exception, reason: str
) -> None:
    (state,) = states_of(NAMES[2])
    batch = data_of(state.run.experiment).batch(BatchStream(state.recipe, 1437, 0).draw(0))
    make_state(state.optimizer)
    cuda = NotedCuda(monkeypatch, failure)
    with pytest.raises(
        CaptureError, match=rf"^smoke/resnet-8-B.*\({reason}\); --no-graphs"
    ) as info:
        cuda.capture(CapturedStep.of(state), batch)
    assert "\n" not in str(info.value)
    # The counters of batch norm are back where they belong.
    norms = [module for module in state.network.modules() if isinstance(module, nn.BatchNorm2d)]
    assert all(norm.num_batches_tracked is not None for norm in norms)
