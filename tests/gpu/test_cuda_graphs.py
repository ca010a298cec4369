"""A step captured without a trace on its member, with a stand-in for CUDA."""

import copy
from collections.abc import Iterator
from contextlib import contextmanager
from types import SimpleNamespace

import pytest
import torch
from torch import nn

from resnet_bench.errors import CaptureError
from resnet_bench.gpu.cuda_graphs import RateOutside, Slot, capture_graph, make_state, untouched
from resnet_bench.networks.initialization import digest
from resnet_bench.training.batches import BatchStream
from resnet_bench.training.state import Member
from resnet_bench.training.step import Batch
from tests.support.lanes import NAMES, assert_equal, run_all
from tests.support.states import CPU, data_of, members_of


def test_a_warm_up_leaves_no_trace_on_adam() -> None:
    (member,) = members_of(f"{NAMES[0]}+optimizer=adam")
    batch = data_of(member.run.experiment).batch(BatchStream(member.recipe, 1437, 0).draw(0))
    slot = Slot.of(member)
    slot.rate.set(0.5)
    make_state(member.optimizer)
    before = copy.deepcopy(member)
    with untouched(member):
        slot.eager(batch)
        assert digest(member.network) != digest(before.network)
    assert_equal([member], [before])


def test_a_warm_up_leaves_no_trace_and_no_new_addresses() -> None:
    (member,) = members_of(NAMES[2])
    data = data_of(member.run.experiment)
    batch = data.batch(BatchStream(member.recipe, 1437, 0).draw(0))
    slot = Slot.of(member)
    slot.rate.set(0.5)
    make_state(member.optimizer)
    before = copy.deepcopy(member)

    def addresses() -> list[int]:
        states = member.optimizer.state.values()
        tensors = [*member.network.state_dict().values(), *vars(member.totals).values()]
        return [t.data_ptr() for t in (*tensors, *(s["momentum_buffer"] for s in states))]

    places = addresses()
    with untouched(member):
        slot.eager(batch)
        assert digest(member.network) != digest(before.network)
    assert_equal([member], [before])
    assert addresses() == places


def test_zero_momentum_buffers_change_nothing() -> None:
    (ours,), (reference,) = members_of(NAMES[0]), members_of(NAMES[0])
    make_state(ours.optimizer)
    run_all([ours], None)
    run_all([reference], None)
    assert_equal([ours], [reference])
    (still,) = members_of(f"{NAMES[0]}+momentum=0.0")
    make_state(still.optimizer)
    assert not still.optimizer.state


def test_the_rate_is_a_tensor_inside_a_step_and_a_number_outside() -> None:
    (member,) = members_of(NAMES[0])
    rate = RateOutside(member.optimizer, CPU)
    seen = []
    member.optimizer.register_step_pre_hook(
        lambda optimizer, *_: seen.append(optimizer.param_groups[0]["lr"])
    )
    for number in (0.5, 0.25):
        rate.set(number)
        rate.step()
        assert member.optimizer.param_groups[0]["lr"] == number
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
        self.member: Member | None = None

    def _stream(self, name: str) -> SimpleNamespace:
        def wait(other: SimpleNamespace) -> None:
            self.log.append(f"{name} waits for {other.name}")

        return SimpleNamespace(name=name, device=CPU, wait_stream=wait)

    def capture(self, slot: Slot, batch: Batch) -> None:
        self.member = slot.member
        capture_graph(slot, batch, self.lane)

    @contextmanager
    def stream(self, used: SimpleNamespace) -> Iterator[None]:
        self.log.append(f"on {used.name}")
        yield
        self.log.append("off")

    @contextmanager
    def graph(
        self, made: object, *, stream: SimpleNamespace, capture_error_mode: str
    ) -> Iterator[None]:
        assert self.member is not None
        assert capture_error_mode == "thread_local"  # other threads may pin memory meanwhile
        assert all(parameter.grad is None for parameter in self.member.network.parameters())
        self.log.append(f"captured on {stream.name}")
        try:
            with untouched(self.member):
                yield
                if self.failure:
                    raise self.failure
        finally:
            if self.failure:  # CUDA ends a capture that is broken with an error of its own
                raise RuntimeError("CUDA error: failed due to a previous error during capture")


def test_a_capture_warms_up_on_the_lanes_stream_and_changes_nothing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    (member,), (reference,) = members_of(NAMES[2]), members_of(NAMES[2])
    batch = data_of(member.run.experiment).batch(BatchStream(member.recipe, 1437, 0).draw(0))
    make_state(member.optimizer)
    make_state(reference.optimizer)
    slot, cuda = Slot.of(member), NotedCuda(monkeypatch)
    slot.rate.set(member.recipe.learning_rate)
    cuda.capture(slot, batch)
    assert cuda.log == [
        *("lane waits for main", "on lane", "off"),
        *("captured on lane", "main waits for lane"),
    ]
    assert_equal([member], [reference])


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
    (member,) = members_of(NAMES[2])
    batch = data_of(member.run.experiment).batch(BatchStream(member.recipe, 1437, 0).draw(0))
    make_state(member.optimizer)
    cuda = NotedCuda(monkeypatch, failure)
    with pytest.raises(
        CaptureError, match=rf"^smoke/resnet-8-B.*\({reason}\); --no-graphs"
    ) as info:
        cuda.capture(Slot.of(member), batch)
    assert "\n" not in str(info.value)
    # The counters of batch norm are back where they belong.
    norms = [module for module in member.network.modules() if isinstance(module, nn.BatchNorm2d)]
    assert all(norm.num_batches_tracked is not None for norm in norms)
