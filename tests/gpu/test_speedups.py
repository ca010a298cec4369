"""The ring of batches, shared casts and evaluation in lanes: each leaves every bit as it was."""

from collections.abc import Collection
from itertools import pairwise
from pathlib import Path
from typing import Any, NoReturn

import pytest
import torch

from resnet_bench.errors import CaptureError
from resnet_bench.gpu.captured_step import CapturedStep
from resnet_bench.gpu.casts import cast_weights, forward_with_shared_casts
from resnet_bench.gpu.evaluation import LaneEvaluation
from resnet_bench.gpu.lockstep import RING, LaneStep
from resnet_bench.gpu.setting import SPEEDUPS, Speedup
from resnet_bench.training import checkpoints, data, loop, signals
from resnet_bench.training.batches import BatchStream
from resnet_bench.training.evaluation import Score
from resnet_bench.training.loop import measure_scores, train
from resnet_bench.training.state import TrainingState
from resnet_bench.training.step import forward
from tests.support.lanes import EXACT, NAMES, assert_equal, in_lanes, run_all
from tests.support.late_streams import LateStreams, MainStream
from tests.support.recording import Recording, record_graph
from tests.support.states import data_of, states_of

BF16 = tuple(f"{name}+precision=bf16" for name in NAMES)


@pytest.fixture
def whole_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of the digits' 360 test images three batches are whole, and the last one is short."""
    monkeypatch.setattr(data, "CPU_IMAGES", 100)


@pytest.mark.usefixtures("whole_batches")
@pytest.mark.parametrize("speedups", [*((speedup,) for speedup in SPEEDUPS), SPEEDUPS])
def test_speedups_change_no_bit(speedups: Collection[Speedup]) -> None:
    names = [f"{name}+clean_every=1+train_images=500" for name in BF16]
    group, reference = states_of(*names), states_of(*names)
    losses = run_all(group, lambda states: in_lanes(states, 2, speedups))
    assert len(losses) == 2 * 3  # of a record each, in a run of eight iterations
    assert losses == run_all(reference, None)
    assert_equal(group, reference)


def train_late(streams: LateStreams, monkeypatch: pytest.MonkeyPatch) -> list[TrainingState]:
    monkeypatch.setattr(torch, "get_device_module", lambda _: streams)
    states = states_of(*NAMES)
    step = LaneStep(states, lanes=3, speedups=["ring"], capture=streams.capture)
    batches = BatchStream(states[0].recipe, 1437, 0)
    for iteration in range(8):  # the rate drops at 4
        step(states, data_of(states[0].run.experiment).batch(batches.draw(iteration)))
        for state in states:
            state.iteration += 1
    streams.synchronize()
    return states


def test_lanes_as_late_as_the_ring_allows_train_alike(monkeypatch: pytest.MonkeyPatch) -> None:
    streams, reference = LateStreams(), states_of(*NAMES)
    states = train_late(streams, monkeypatch)
    run_all(reference, None)
    for state in states:
        state.totals.clear()  # as by the record at the end
    assert_equal(states, reference)
    two_copies_and_a_replay = 3
    assert RING <= streams.furthest / two_copies_and_a_replay <= RING + 1


def test_late_streams_notice_a_ring_that_waits_for_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(MainStream, "wait_event", lambda *_: None)
    states, reference = train_late(LateStreams(), monkeypatch), states_of(*NAMES)
    run_all(reference, None)
    assert all(
        not torch.equal(*(next(s.network.parameters()) for s in pair))
        for pair in zip(states, reference, strict=True)
    )


def test_without_a_ring_all_lanes_join_after_each_step(monkeypatch: pytest.MonkeyPatch) -> None:
    streams = LateStreams()
    monkeypatch.setattr(torch, "get_device_module", lambda _: streams)
    states = states_of(*NAMES[:2])
    step = LaneStep(states, lanes=2, capture=streams.capture)
    batch = data_of(states[0].run.experiment).batch(BatchStream(states[0].recipe, 1437, 0).draw(0))
    step(states, batch)
    assert [lane.done for lane in streams.lanes[:2]] == [len(s.work) for s in streams.lanes[:2]]
    given = [len(lane.work) for lane in streams.lanes]
    assert all(given)
    step([step.lanes[0][0].state], batch)  # the other lane is given nothing
    more = [len(lane.work) - old for lane, old in zip(streams.lanes, given, strict=True)]
    assert more[0] > 0 == more[1]


@pytest.mark.parametrize("reader", ["save", "measure_layers"])
def test_whoever_looks_at_a_state_waits_for_the_gpu_first(
    reader: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (state,) = states_of(NAMES[0])
    images = data_of(state.run.experiment)
    weight = next(state.network.parameters())

    @torch.no_grad()
    def finish(_: torch.device) -> None:  # the lane's last update
        weight.fill_(0.25)

    for module in (checkpoints, signals):
        monkeypatch.setattr(module, "wait_for", finish)
    if reader == "save":
        checkpoints.save(state, tmp_path / "checkpoint.pt")
        saved = checkpoints.read(tmp_path / "checkpoint.pt", "cpu")
        assert (next(iter(saved["network"].values())) == 0.25).all()
    else:
        row = signals.measure_layers(state, images)[1]
        assert row.weight_norm == pytest.approx(0.25 * weight.numel() ** 0.5)


def test_scores_are_read_after_the_wait_for_the_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    (state,) = states_of(NAMES[0])
    score = Score(torch.zeros((), dtype=torch.float64), torch.tensor(1), images=4)
    monkeypatch.setattr(loop, "wait_for", lambda _: score.summed_loss.fill_(2.0))
    state.iteration, state.interval_seconds = state.next_record, 1.0
    state.totals.images += 1
    batches = BatchStream(state.recipe, 1437, 0)
    images = data_of(state.run.experiment)
    _, record = next(loop.train([state], batches, images, measure=lambda *_: loop.Scores(score)))
    assert (record.test_loss, record.test_error) == (0.5, 0.25)


@pytest.mark.parametrize(
    "name",
    [
        *BF16,
        f"digits-variants/resnet-20-A-preactivation+{EXACT}+precision=bf16",
        f"{NAMES[0]}+batch_norm_images=16+precision=bf16",
    ],
)
def test_shared_casts_are_autocasts(name: str) -> None:
    """Logits and gradients to the bit, with one cast for all weights instead of one each."""
    found: list[tuple[Any, ...]] = []
    casts = []
    for passes in (forward, forward_with_shared_casts):
        (state,) = states_of(name)
        images = data_of(state.run.experiment).batch(BatchStream(state.recipe, 1437, 0).draw(0))[0]
        with Recording() as operations:
            logits = passes(state, images)
            logits.float().square().sum().backward()
        found.append((logits, *(parameter.grad for parameter in state.network.parameters())))
        casts.append(sum("_to_copy" in str(f) for f, *_ in operations.operations))
    for ours, theirs in zip(*found, strict=True):
        assert torch.equal(ours, theirs)
        assert ours.stride() == theirs.stride()
    layers = len(cast_weights(state.network))
    assert casts[0] - casts[1] == 2 * layers > 0


@pytest.mark.parametrize("name", [NAMES[0], f"digits-cures/plain-20-dirac+{EXACT}+precision=bf16"])
def test_in_float32_and_with_cures_nothing_is_cast_together(name: str) -> None:
    """A cure's block may compute with weights; in bfloat16 it would compute something else."""
    (state,) = states_of(name)
    images = data_of(state.run.experiment).batch(BatchStream(state.recipe, 1437, 0).draw(0))[0]
    with Recording() as operations:
        forward_with_shared_casts(state, images)
    assert not [f for f, *_ in operations.operations if "_foreach_copy_" in str(f)]


def test_a_lane_casts_together_in_its_capture_alone() -> None:
    (state,) = states_of(BF16[0])
    step = in_lanes([state], speedups=["casts"])
    assert step.lanes[0][0].forward is forward_with_shared_casts
    assert in_lanes([state]).lanes[0][0].forward is forward
    assert CapturedStep.of(state).forward is forward


@pytest.mark.usefixtures("whole_batches")
def test_whole_batches_are_replayed_and_the_last_one_is_not() -> None:
    (state,) = states_of(NAMES[0])
    images = data_of(state.run.experiment)
    evaluation = LaneEvaluation([[state]], record_graph)
    expected, counts = measure_scores(state, images).test, [state.measured]

    def count(state: TrainingState) -> bool:
        counts.append(state.measured)
        return True

    for _ in range(2):
        scores = evaluation(state, images, count)
        assert (scores.test.loss, scores.test.error) == (expected.loss, expected.error)
    test, train, statistics = [100] * 3 + [60], [100] * 14 + [37], [64] * 22
    once = [*test, *train, *statistics, *train, *test]
    assert [new - old for old, new in pairwise(counts)] == once * 2
    (captured,) = evaluation.captured.values()
    assert isinstance(captured.graph, Recording)
    assert captured.graph.replays == 2 * sum(n == 100 for n in once)
    evaluation.close()
    assert not evaluation.captured


@pytest.mark.usefixtures("whole_batches")
def test_a_failed_capture_of_an_evaluation_is_no_fault_of_a_cure() -> None:
    """One that ended its own run alone would leave the others to a process that is broken."""
    (state,) = states_of(f"digits-cures/plain-20-dirac+{EXACT}")
    state.iteration = state.next_record

    def fails(*_: object, **__: object) -> NoReturn:
        raise CaptureError("its evaluation cannot be captured")

    evaluation = LaneEvaluation([[state]], fails)
    images = data_of(state.run.experiment)
    records = train([state], BatchStream(state.recipe, 1437, 0), images, measure=evaluation)
    with pytest.raises(CaptureError):
        next(records)
