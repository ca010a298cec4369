"""What goes wrong in a CUDA graph goes wrong in its stand-in, too; and the step's does not."""

from functools import partial

import pytest

from resnet_bench.errors import CaptureError
from resnet_bench.gpu.captured_step import CapturedStep, make_state, restored_afterwards
from resnet_bench.gpu.lockstep import LaneStep
from resnet_bench.networks.initialization import digest
from resnet_bench.training.batches import BatchStream
from resnet_bench.training.state import Totals, TrainingState
from resnet_bench.training.step import Batch, Forward, eager_step, forward
from tests.support.lanes import NAMES, in_lanes, run_all
from tests.support.recording import STREAM, Recording, record_graph
from tests.support.states import data_of, states_of


def first_batch(state: TrainingState) -> Batch:
    experiment = state.run.experiment
    stream = BatchStream(experiment.recipe, experiment.train_images, 0)
    return data_of(experiment).batch(stream.draw(0))


def record(state: TrainingState, **options: Recording) -> Recording:
    make_state(state.optimizer)
    work = partial(CapturedStep.of(state).with_fewer_kernels, first_batch(state))
    return record_graph(work, "a step", STREAM, partial(restored_afterwards, state), **options)


def test_a_number_in_a_captured_step_stays_what_it_was(monkeypatch: pytest.MonkeyPatch) -> None:
    """A learning rate that is no tensor: right until it drops, at iteration 4."""

    def eager(step: CapturedStep, batch: Batch, _: Forward = forward) -> None:
        eager_step([step.state], batch)

    monkeypatch.setattr(CapturedStep, "eager", eager)
    group, reference = states_of(NAMES[0]), states_of(NAMES[0])
    lanes = in_lanes(group)
    for end, equal in ((4, True), (8, False)):
        run_all(group, lambda _: lanes, iterations=end)
        run_all(reference, None, iterations=end)
        assert (digest(group[0].network) == digest(reference[0].network)) is equal


def test_a_total_that_is_replaced_counts_no_more(monkeypatch: pytest.MonkeyPatch) -> None:
    def count(totals: Totals, *_: object) -> None:
        totals.steps = totals.steps + 1

    monkeypatch.setattr(Totals, "add", count)
    (state,) = states_of(NAMES[0])
    lanes: LaneStep = in_lanes([state])
    counts = []
    for _ in range(3):
        lanes([state], first_batch(state))
        counts.append(state.totals.steps.item())
    assert counts[0] == counts[1] == counts[2]


def test_a_step_that_reads_a_value_cannot_be_captured(monkeypatch: pytest.MonkeyPatch) -> None:
    def step(step: CapturedStep, batch: Batch, _: Forward = forward) -> None:
        eager_step([step.graph_state], batch)
        step.state.totals.loss.item()

    monkeypatch.setattr(CapturedStep, "eager", step)
    (state,) = states_of(NAMES[0])
    with pytest.raises(CaptureError, match="not permitted when stream is capturing"):
        record(state)


@pytest.mark.parametrize("change", ["", "+optimizer=adam", "+batch_norm_images=16"])
def test_all_that_is_captured_has_run_before(change: str) -> None:
    """A kernel that is loaded, or a workspace that is made, within a capture may break it."""
    (state,) = states_of(NAMES[2] + change)
    warm_up = Recording()
    recording = record(state, warm_up=warm_up)
    captured, before = (
        {str(function) for function, *_ in record.operations} for record in (recording, warm_up)
    )
    assert captured <= before
    assert "aten._foreach_add_.Scalar" in captured  # of batch norm's counters
