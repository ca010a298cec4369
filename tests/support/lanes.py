"""Members in lanes on a CPU, with a stand-in for the capture."""

from collections.abc import Callable, Sequence

import torch

from resnet_bench.gpu.cuda_graphs import Slot, Stream, counted_together, forward_passes
from resnet_bench.gpu.lockstep import LaneStep
from resnet_bench.networks.initialization import digest
from resnet_bench.training.batches import BatchStream
from resnet_bench.training.loop import train
from resnet_bench.training.state import Member
from resnet_bench.training.step import Batch, eager_step
from tests.support.states import data_of

# A power of two, so that the rate is the same number as a Python float and as a float32 tensor.
EXACT = "divide_by=2.0+drops=[4]+iterations=8+learning_rate=0.03125"
NAMES = tuple(f"smoke/{name}+{EXACT}" for name in ("plain-8", "resnet-14-A", "resnet-8-B"))


class Replay:
    """What a graph does, done eagerly: the step on the tensors that were there at the capture."""

    def __init__(self, slot: Slot, batch: Batch, _: Stream) -> None:
        self.slot, self.batch, self.replays = slot, batch, 0

    def replay(self) -> None:
        self.replays += 1
        passes = forward_passes(self.slot.member)
        with counted_together(self.slot.member.network, passes):
            self.slot.eager(self.batch)


def in_lanes(members: Sequence[Member], lanes: int | None = None) -> LaneStep:
    return LaneStep(members, lanes=lanes, capture=Replay)


def replays(step: LaneStep) -> dict[str, int]:
    return {
        slot.member.run.experiment.network.name: slot.captured.replays
        for lane in step.lanes
        for slot in lane
        if isinstance(slot.captured, Replay)
    }


def run_all(
    members: Sequence[Member],
    make_step: Callable[[Sequence[Member]], LaneStep] | None,
    iterations: int | None = None,
) -> list[float]:
    """Train the group, up to `iterations` if given; its training losses."""
    experiment = members[0].run.experiment
    stream = BatchStream(experiment.recipe, experiment.train_images, 0)

    def safe_point() -> bool:
        return iterations is None or max(m.iteration for m in members) < iterations

    step = make_step(members) if make_step else eager_step
    rows = train(members, stream, data_of(experiment), step=step, safe_point=safe_point)
    return [record.train_loss for _, record in rows]


def assert_equal(members: Sequence[Member], others: Sequence[Member]) -> None:
    """The same weights, statistics, counters, momenta and totals, and checkpoints of one form."""
    for member, other in zip(members, others, strict=True):
        assert digest(member.network) == digest(other.network)
        state, expected = member.optimizer.state_dict(), other.optimizer.state_dict()
        assert state["param_groups"] == expected["param_groups"]
        assert state["state"].keys() == expected["state"].keys()
        for slot in expected["state"]:
            ours, theirs = state["state"][slot], expected["state"][slot]
            assert ours.keys() == theirs.keys()
            assert all(torch.equal(ours[name], theirs[name]) for name in theirs)
        for name, total in vars(other.totals).items():
            assert torch.equal(getattr(member.totals, name), total), name
