"""Steps in lanes, with a stand-in for the capture: on a GPU they are graphs."""

from collections.abc import Sequence
from pathlib import Path

import pytest

from resnet_bench.gpu.captured_step import forward_passes
from resnet_bench.gpu.lockstep import LaneStep, chain_length, fewest_lanes, pack
from resnet_bench.networks.cifar import CifarNet
from resnet_bench.records.run_directory import RunDirectory
from resnet_bench.suites.suite import load_suite
from resnet_bench.training import checkpoints
from resnet_bench.training.batches import BatchStream
from resnet_bench.training.state import TrainingState
from resnet_bench.training.step import eager_step
from tests.support.lanes import EXACT, NAMES, assert_equal, in_lanes, replays, run_all
from tests.support.states import data_of, states_of


def test_members_are_packed_in_balanced_lanes_longest_first() -> None:
    assert pack([3, 9, 4, 5], 2) == [[1, 0], [3, 2]]
    assert pack([1, 1], 5) == [[0], [1]]
    assert pack([2, 2, 2], 1) == [[0, 1, 2]]
    assert fewest_lanes([5]) == 1
    assert fewest_lanes([5, 5]) == 2
    assert fewest_lanes([6, 3, 3]) == 2


def test_the_papers_twelve_networks_fill_nine_lanes() -> None:
    experiments = load_suite("cifar10").experiments
    lengths = [chain_length(CifarNet(e.spec, e.dataset)) for e in experiments]
    assert lengths == [19, 31, 43, 55, 19, 31, 43, 55, 21, 33, 45, 57]
    assert fewest_lanes(lengths) == 9
    packed = pack(lengths, 9)
    assert sorted(index for lane in packed for index in lane) == list(range(12))
    loads = [sum(lengths[index] for index in lane) for lane in packed]
    assert max(loads) == loads[0] == 57


@pytest.mark.parametrize("lanes", [None, 2])
def test_steps_in_lanes_are_eager_steps(lanes: int | None) -> None:
    group, reference = states_of(*NAMES), states_of(*NAMES)
    losses = run_all(group, lambda states: in_lanes(states, lanes))
    assert losses == run_all(reference, None)
    assert_equal(group, reference)


def test_every_kind_of_network_steps_in_lanes() -> None:
    """One without batch norm has no counters to raise."""
    kinds = ("plain-20-no-norm", "resnet-20-A-preactivation", "resnet-20-A-bottleneck")
    changes = EXACT.replace("iterations=8", "iterations=5")
    names = [f"digits-variants/{kind}+{changes}" for kind in kinds]
    group, reference = states_of(*names), states_of(*names)
    losses = run_all(group, in_lanes)
    assert losses == run_all(reference, None)
    assert_equal(group, reference)


def test_adam_in_lanes_is_adam_step_by_step() -> None:
    """From zeros, which a capture needs, as from nothing; with a short batch in between."""
    changes = f"{EXACT}+last_batch=short+optimizer=adam+train_images=150"
    names = (f"smoke/plain-8+{changes}", f"smoke/resnet-8-B+{changes}")
    group, reference = states_of(*names), states_of(*names)
    data, lanes = data_of(group[0].run.experiment), in_lanes(group)
    stream = BatchStream(group[0].recipe, 150, 0)
    for iteration in range(6):
        batch = data.batch(stream.draw(iteration))
        assert len(batch[1]) == (22 if iteration % 3 == 2 else 64)
        lanes(group, batch)
        eager_step(reference, batch)
        for state in (*group, *reference):
            state.iteration += 1
    assert_equal(group, reference)
    assert {float(buffers["step"]) for buffers in group[0].optimizer.state.values()} == {6.0}


def test_without_graphs_the_lanes_run_eagerly() -> None:
    group, reference = states_of(*NAMES), states_of(*NAMES)
    run_all(group, lambda states: LaneStep(states, graphs=False))
    run_all(reference, None)
    assert_equal(group, reference)
    assert len(LaneStep(group, graphs=False).lanes) == 1
    assert len(LaneStep(group, graphs=False, lanes=2).lanes) == 2


def test_only_the_standing_members_step() -> None:
    (ahead,) = states_of(NAMES[0])
    run_all([ahead], in_lanes, iterations=5)
    group, reference = [ahead, *states_of(NAMES[1])], states_of(*NAMES[:2])
    made: list[LaneStep] = []

    def make_step(states: Sequence[TrainingState]) -> LaneStep:
        made.append(in_lanes(states))
        return made[0]

    run_all(group, make_step)
    run_all(reference, None)
    assert_equal(group, reference)
    assert replays(made[0]) == {"plain-8": 3, "resnet-14-A": 8}


def test_a_short_batch_is_stepped_eagerly() -> None:
    names = [f"{name}+iterations=24+last_batch=short" for name in (NAMES[0], NAMES[2])]
    group, reference = states_of(*names), states_of(*names)
    made: list[LaneStep] = []

    def make_step(states: Sequence[TrainingState]) -> LaneStep:
        made.append(in_lanes(states))
        return made[0]

    run_all(group, make_step)
    run_all(reference, None)
    assert_equal(group, reference)
    assert replays(made[0]) == {"plain-8": 23, "resnet-8-B": 23}  # 1437 images: one of 29


def test_a_loaded_checkpoint_is_captured_anew(tmp_path: object) -> None:
    """Loading replaces the momentum buffers; a graph of the old ones would go on with those."""
    (state,) = states_of(NAMES[0])
    step = in_lanes([state])
    run_all([state], lambda _: step, iterations=3)
    path = RunDirectory(tmp_path).checkpoint  # type: ignore[arg-type]
    checkpoints.save(state, path)
    first = step.lanes[0][0].captured
    run_all([state], lambda _: step, iterations=6)
    assert step.lanes[0][0].captured is first
    checkpoints.load(state, path, {})
    run_all([state], lambda _: step)
    (reference,) = states_of(NAMES[0])
    run_all([reference], None)
    assert step.lanes[0][0].captured is not first
    assert step.lanes[0][0].outdated == [first]
    assert_equal([state], [reference])
    step.close()
    assert step.lanes[0][0].captured is None


def test_an_adam_step_that_was_not_capturable_is_where_it_goes_on(tmp_path: Path) -> None:
    """On a GPU Adam's step can be captured; a checkpoint made on a CPU must not undo that."""
    (saved,), (state,) = (states_of(f"{NAMES[0]}+optimizer=adam") for _ in range(2))
    run_all([saved], None, 2)
    checkpoints.save(saved, tmp_path / "checkpoint.pt")
    (group,) = state.optimizer.param_groups
    group["capturable"] = True
    checkpoints.load(state, tmp_path / "checkpoint.pt", {})
    assert [group["capturable"] for group in state.optimizer.param_groups] == [True]
    group = state.optimizer.param_groups[0]
    group["capturable"] = False
    assert_equal([state], [saved])


def test_a_diverging_member_leaves_the_others_alone() -> None:
    names = ("smoke/plain-8+drops=[4]+iterations=8+learning_rate=1e+30", NAMES[2])
    group, (alone,) = states_of(*names), states_of(NAMES[2])
    run_all(group, in_lanes)
    run_all([alone], None)
    assert group[0].diverged_at is not None
    assert_equal(group[1:], [alone])


def test_batch_norm_over_part_of_a_batch_counts_each_part() -> None:
    name = f"{NAMES[0]}+batch_norm_images=16"
    group, reference = states_of(name), states_of(name)
    assert forward_passes(group[0]) == 4
    run_all(group, in_lanes, iterations=3)
    run_all(reference, None, iterations=3)
    assert_equal(group, reference)
