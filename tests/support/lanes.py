"""States in lanes on a CPU, with a stand-in for CUDA graphs."""

from collections.abc import Callable, Collection, Sequence

import torch

from resnet_bench.gpu.lockstep import LaneStep
from resnet_bench.gpu.setting import Speedup
from resnet_bench.networks.initialization import digest
from resnet_bench.training.batches import BatchStream
from resnet_bench.training.loop import train
from resnet_bench.training.state import TrainingState
from resnet_bench.training.step import eager_step
from tests.support.recording import Recording, record_graph
from tests.support.states import data_of

# A power of two, so that the rate is the same number as a Python float and as a float32 tensor.
EXACT = "divide_by=2.0+drops=[4]+iterations=8+learning_rate=0.03125"
NAMES = tuple(f"smoke/{name}+{EXACT}" for name in ("plain-8", "resnet-14-A", "resnet-8-B"))


def in_lanes(
    states: Sequence[TrainingState],
    lanes: int | None = None,
    speedups: Collection[Speedup] = (),
) -> LaneStep:
    return LaneStep(states, lanes=lanes, speedups=speedups, capture=record_graph)


def replays(step: LaneStep) -> dict[str, int]:
    return {
        step.state.run.experiment.spec.name: step.captured.replays
        for lane in step.lanes
        for step in lane
        if isinstance(step.captured, Recording)
    }


def run_all(
    states: Sequence[TrainingState],
    make_step: Callable[[Sequence[TrainingState]], LaneStep] | None,
    iterations: int | None = None,
) -> list[float]:
    """Train the group, up to `iterations` if given; its training losses."""
    experiment = states[0].run.experiment
    stream = BatchStream(experiment.recipe, experiment.train_images, 0)

    def should_continue() -> bool:
        return iterations is None or max(m.iteration for m in states) < iterations

    step = make_step(states) if make_step else eager_step
    measure = step.measure if isinstance(step, LaneStep) else None
    data, options = data_of(experiment), {"step": step, "measure": measure}
    rows = train(states, stream, data, should_continue=should_continue, **options)  # type: ignore[arg-type]
    return [loss for _, record in rows for loss in (record.train_loss, record.test_loss)]


def assert_equal(states: Sequence[TrainingState], others: Sequence[TrainingState]) -> None:
    """The same weights, statistics, counters, momenta and totals, and checkpoints of one form."""
    for state, other in zip(states, others, strict=True):
        assert digest(state.network) == digest(other.network)
        optimizer, expected = state.optimizer.state_dict(), other.optimizer.state_dict()
        assert optimizer["param_groups"] == expected["param_groups"]
        assert optimizer["state"].keys() == expected["state"].keys()
        for number in expected["state"]:
            ours, theirs = optimizer["state"][number], expected["state"][number]
            assert ours.keys() == theirs.keys()
            assert all(torch.equal(ours[name], theirs[name]) for name in theirs)
        for name, total in vars(other.totals).items():
            assert torch.equal(getattr(state.totals, name), total), name
