"""Steps in lanes: with a stand-in for the capture where there is no GPU, as graphs where one is."""

import copy
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from resnet_bench import __main__ as command_line
from resnet_bench import checkpoints, runner
from resnet_bench.batches import BatchStream
from resnet_bench.captures import (
    RateOutside,
    Slot,
    Stream,
    capture_graph,
    counted_together,
    forward_passes,
    make_state,
    untouched,
)
from resnet_bench.data import TrainingData
from resnet_bench.errors import UserError
from resnet_bench.experiments import Experiment, Run, find_experiment, load_suite
from resnet_bench.graphs import LaneStep, chain_length, fewest_lanes, pack
from resnet_bench.initialization import digest
from resnet_bench.networks import CifarNet
from resnet_bench.progress import Machine
from resnet_bench.records import RunDirectory
from resnet_bench.runner import run_group
from resnet_bench.sources import load_dataset
from resnet_bench.sweep import group_runs
from resnet_bench.training import Batch, Member, eager_step, new_member, train
from resnet_bench.workers import CUDA_SETTINGS, environment_of_workers

CPU = torch.device("cpu")
# A power of two, so that the rate is the same number as a Python float and as a float32 tensor.
EXACT = "divide_by=2.0+drops=[4]+iterations=8+learning_rate=0.03125"
NAMES = tuple(f"smoke/{name}+{EXACT}" for name in ("plain-8", "resnet-14-A", "resnet-8-B"))


def members_of(*names: str) -> list[Member]:
    return [new_member(Run(find_experiment(name), 0), CPU) for name in names]


def data_of(experiment: Experiment) -> TrainingData:
    return TrainingData(experiment, *load_dataset(experiment.dataset), CPU)


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


def test_members_are_packed_in_balanced_lanes_longest_first() -> None:
    assert pack([3, 9, 4, 5], 2) == [[1, 0], [3, 2]]
    assert pack([1, 1], 5) == [[0], [1]]
    assert pack([2, 2, 2], 1) == [[0, 1, 2]]
    assert fewest_lanes([5]) == 1
    assert fewest_lanes([5, 5]) == 2
    assert fewest_lanes([6, 3, 3]) == 2


def test_the_papers_twelve_networks_fill_nine_lanes() -> None:
    experiments = load_suite("cifar10").experiments
    lengths = [chain_length(CifarNet(e.network, e.dataset)) for e in experiments]
    assert lengths == [19, 31, 43, 55, 19, 31, 43, 55, 21, 33, 45, 57]
    assert fewest_lanes(lengths) == 9
    packed = pack(lengths, 9)
    assert sorted(index for lane in packed for index in lane) == list(range(12))
    loads = [sum(lengths[index] for index in lane) for lane in packed]
    assert max(loads) == loads[0] == 57


@pytest.mark.parametrize("lanes", [None, 2])
def test_steps_in_lanes_are_eager_steps(lanes: int | None) -> None:
    group, reference = members_of(*NAMES), members_of(*NAMES)
    losses = run_all(group, lambda members: in_lanes(members, lanes))
    assert losses == run_all(reference, None)
    assert_equal(group, reference)


def test_adam_in_lanes_is_adam_step_by_step() -> None:
    """From zeros, which a capture needs, as from nothing; with a short batch in between."""
    changes = f"{EXACT}+last_batch=short+optimizer=adam+train_images=150"
    names = (f"smoke/plain-8+{changes}", f"smoke/resnet-8-B+{changes}")
    group, reference = members_of(*names), members_of(*names)
    data, lanes = data_of(group[0].run.experiment), in_lanes(group)
    stream = BatchStream(group[0].recipe, 150, 0)
    for iteration in range(6):
        batch = data.batch(stream.draw(iteration))
        assert len(batch[1]) == (22 if iteration % 3 == 2 else 64)
        lanes(group, batch)
        eager_step(reference, batch)
        for member in (*group, *reference):
            member.iteration += 1
    assert_equal(group, reference)
    assert {float(state["step"]) for state in group[0].optimizer.state.values()} == {6.0}


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


def test_without_graphs_the_lanes_run_eagerly() -> None:
    group, reference = members_of(*NAMES), members_of(*NAMES)
    run_all(group, lambda members: LaneStep(members, graphs=False))
    run_all(reference, None)
    assert_equal(group, reference)
    assert len(LaneStep(group, graphs=False).lanes) == 1
    assert len(LaneStep(group, graphs=False, lanes=2).lanes) == 2


def test_only_the_standing_members_step() -> None:
    (ahead,) = members_of(NAMES[0])
    run_all([ahead], in_lanes, iterations=5)
    group, reference = [ahead, *members_of(NAMES[1])], members_of(*NAMES[:2])
    made: list[LaneStep] = []

    def make_step(members: Sequence[Member]) -> LaneStep:
        made.append(in_lanes(members))
        return made[0]

    run_all(group, make_step)
    run_all(reference, None)
    assert_equal(group, reference)
    assert replays(made[0]) == {"plain-8": 3, "resnet-14-A": 8}


def test_a_short_batch_is_stepped_eagerly() -> None:
    names = [f"{name}+iterations=24+last_batch=short" for name in (NAMES[0], NAMES[2])]
    group, reference = members_of(*names), members_of(*names)
    made: list[LaneStep] = []

    def make_step(members: Sequence[Member]) -> LaneStep:
        made.append(in_lanes(members))
        return made[0]

    run_all(group, make_step)
    run_all(reference, None)
    assert_equal(group, reference)
    assert replays(made[0]) == {"plain-8": 23, "resnet-8-B": 23}  # 1437 images: one of 29


def test_a_loaded_checkpoint_is_captured_anew(tmp_path: object) -> None:
    """Loading replaces the momentum buffers; a graph of the old ones would go on with those."""
    (member,) = members_of(NAMES[0])
    step = in_lanes([member])
    run_all([member], lambda _: step, iterations=3)
    path = RunDirectory(tmp_path).checkpoint  # type: ignore[arg-type]
    checkpoints.save(member, path)
    first = step.lanes[0][0].captured
    run_all([member], lambda _: step, iterations=6)
    assert step.lanes[0][0].captured is first
    checkpoints.load(member, path)
    run_all([member], lambda _: step)
    (reference,) = members_of(NAMES[0])
    run_all([reference], None)
    assert step.lanes[0][0].captured is not first
    assert step.lanes[0][0].outdated == [first]
    assert_equal([member], [reference])
    step.close()
    assert step.lanes[0][0].captured is None


def test_a_diverging_member_leaves_the_others_alone() -> None:
    names = ("smoke/plain-8+drops=[4]+iterations=8+learning_rate=1e+30", NAMES[2])
    group, (alone,) = members_of(*names), members_of(NAMES[2])
    run_all(group, in_lanes)
    run_all([alone], None)
    assert group[0].diverged_at is not None
    assert_equal(group[1:], [alone])


def test_batch_norm_over_part_of_a_batch_counts_each_part() -> None:
    name = f"{NAMES[0]}+batch_norm_images=16"
    group, reference = members_of(name), members_of(name)
    assert forward_passes(group[0]) == 4
    run_all(group, in_lanes, iterations=3)
    run_all(reference, None, iterations=3)
    assert_equal(group, reference)


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


def test_graphs_and_lanes_are_refused_on_a_cpu(machine: Machine, small: list[Experiment]) -> None:
    for change in ({"graphs": True}, {"lanes": 2}):
        with pytest.raises(UserError, match="need a CUDA device"):
            run_group([Run(small[0], 0)], replace(machine, **change))
    assert not machine.results.exists()


def test_an_attempt_says_how_its_steps_were_executed(
    machine: Machine, small: list[Experiment]
) -> None:
    run = Run(small[0], 0)
    run_group([run], replace(machine, graphs=False))
    description = RunDirectory(run.directory(machine.results)).description()
    assert description is not None
    (attempt,) = description["attempts"]
    assert (attempt["deterministic"], attempt["graphs"], attempt["lanes"]) == (True, False, 1)


def test_a_group_shares_seed_and_batches() -> None:
    cifar = [Run(e, seed) for seed in (0, 1) for e in load_suite("cifar10").experiments]
    other = Run(find_experiment("cifar10/plain-20+batch_size=64"), 0)
    rate = Run(find_experiment("cifar10/plain-20+learning_rate=0.05"), 0)
    groups = group_runs([*cifar, other, rate], one_by_one=False)
    assert sorted(len(group) for group in groups) == [1, 12, 13]
    for group in groups:
        assert len({run.seed for run in group}) == 1
        assert len({run.experiment.recipe.batch_size for run in group}) == 1
    bf16 = [Run(e, 0) for e in load_suite("cifar10-bf16").experiments]
    assert len(group_runs([*cifar[:12], *bf16], one_by_one=False)) == 2  # precision is a process's


def test_workers_get_cudas_settings_unless_the_user_has_others(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    import os

    monkeypatch.delenv("CUDA_DEVICE_MAX_CONNECTIONS", raising=False)
    monkeypatch.setenv("CUBLAS_WORKSPACE_CONFIG", ":16:8")
    with environment_of_workers():
        assert os.environ["CUBLAS_WORKSPACE_CONFIG"] == ":16:8"
        assert os.environ["CUDA_DEVICE_MAX_CONNECTIONS"] == "32"
    assert "CUDA_DEVICE_MAX_CONNECTIONS" not in os.environ
    assert CUDA_SETTINGS["CUBLAS_WORKSPACE_CONFIG"] == ":4096:8"


def test_the_suite_in_bfloat16_differs_in_precision_alone() -> None:
    tf32, bf16 = load_suite("cifar10"), load_suite("cifar10-bf16")
    assert bf16.recipe.model_copy(update={"precision": "tf32"}) == tf32.recipe
    assert [e.network for e in bf16.experiments] == [e.network for e in tf32.experiments]


class FakeStream:
    """Writes down what is asked of a CUDA stream, in order, into one log for all."""

    def __init__(self, name: str, log: list[str]) -> None:
        self.name, self.log = name, log

    def record_event(self) -> str:
        self.log.append(f"{self.name} records")
        return self.name

    def wait_event(self, event: str) -> None:
        self.log.append(f"{self.name} waits for {event}")


def test_lanes_fork_from_the_batch_and_join_after_all_were_launched(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A lane that waited for the lanes launched before it would undo the lanes."""
    step = in_lanes(members_of(*NAMES), lanes=2)
    log: list[str] = []
    main = FakeStream("main", log)
    step.streams = [FakeStream(f"lane {index}", log) for index in range(2)]
    step.device = torch.device("cuda")
    monkeypatch.setattr(torch.cuda, "current_stream", lambda _: main)

    @contextmanager
    def stream(lane: FakeStream) -> Iterator[None]:
        log.append(f"on {lane.name}:")
        yield

    monkeypatch.setattr(torch.cuda, "stream", stream)
    step._run(step.lanes, lambda slot: log.append(slot.member.run.experiment.network.name))
    assert log == [
        "main records",
        *("lane 0 waits for main", "on lane 0:", "resnet-14-A", "lane 0 records"),
        *("lane 1 waits for main", "on lane 1:", "resnet-8-B", "plain-8", "lane 1 records"),
        *("main waits for lane 0", "main waits for lane 1"),
    ]
    log.clear()
    standing = [[], step.lanes[1][:1]]
    step._run(standing, lambda slot: log.append(slot.member.run.experiment.network.name))
    assert not [line for line in log if "lane 0" in line]


@pytest.mark.parametrize(
    ("options", "graphs", "lanes"),
    [({}, True, 2), ({"graphs": False}, False, 1), ({"graphs": True, "lanes": 1}, True, 1)],
)
def test_the_runner_takes_graphs_on_a_gpu(
    options: dict[str, Any],
    graphs: bool,
    lanes: int,
    machine: Machine,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """With members that say they are on a GPU, and streams that are not."""
    monkeypatch.setattr(torch.cuda, "Stream", lambda _: None)
    gpu = torch.device("cuda")
    written: list[dict[str, Any]] = []
    records: Any = [
        SimpleNamespace(
            member=SimpleNamespace(
                device=gpu,
                network=member.network,
                optimizer=member.optimizer,
                recipe=member.recipe,
            ),
            description={"attempts": [{"device": "cuda"}]},
            directory=SimpleNamespace(write_description=written.append),
        )
        for member in members_of(NAMES[0], NAMES[0])
    ]
    monkeypatch.setattr(Slot, "of", lambda member: Slot(member, None, member))  # type: ignore[arg-type]
    step = runner._choose_step(records, replace(machine, **options))
    assert isinstance(step, LaneStep)
    assert (step.graphs, len(step.lanes)) == (graphs, lanes)
    (attempt,) = written[0]["attempts"]
    assert (attempt["device"], attempt["graphs"], attempt["lanes"]) == ("cuda", graphs, lanes)
    assert not attempt["deterministic"]  # what the process really is


def test_the_command_line_passes_graphs_and_lanes_on(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[Machine] = []
    monkeypatch.setattr(command_line, "_train", lambda runs, machine, *_: seen.append(machine))
    for command in (["run", "smoke/plain-8"], ["sweep", "smoke"]):
        for extra in ([], ["--no-graphs"], ["--graphs", "--lanes", "3"]):
            arguments = ["resnet_bench", *command, "--wandb", "disabled", *extra]
            monkeypatch.setattr(sys, "argv", arguments)
            with pytest.raises(SystemExit):
                command_line.main()
    expected = [(None, None), (False, None), (True, 3)]
    assert [(machine.graphs, machine.lanes) for machine in seen] == expected * 2


def test_a_capture_warms_up_on_the_lanes_stream_and_changes_nothing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """`capture_graph` itself, with a CUDA that only takes notes: a capture executes nothing."""
    (member,), (reference,) = members_of(NAMES[2]), members_of(NAMES[2])
    batch = data_of(member.run.experiment).batch(BatchStream(member.recipe, 1437, 0).draw(0))
    make_state(member.optimizer)
    make_state(reference.optimizer)
    slot, log = Slot.of(member), []
    slot.rate.set(member.recipe.learning_rate)
    lane, main = (SimpleNamespace(name=name, device=CPU) for name in ("lane", "main"))
    for own, other in ((lane, main), (main, lane)):
        own.wait_stream = lambda _, own=own, other=other: log.append(
            f"{own.name} waits for {other.name}"
        )

    @contextmanager
    def stream(used: SimpleNamespace) -> Iterator[None]:
        log.append(f"on {used.name}")
        yield
        log.append("off")

    @contextmanager
    def graph(made: object, *, stream: SimpleNamespace) -> Iterator[None]:
        assert all(parameter.grad is None for parameter in member.network.parameters())
        log.append(f"captured on {stream.name}")
        with untouched(member):
            yield

    monkeypatch.setattr(torch.cuda, "current_stream", lambda _: main)
    monkeypatch.setattr(torch.cuda, "stream", stream)
    monkeypatch.setattr(torch.cuda, "graph", graph)
    monkeypatch.setattr(torch.cuda, "CUDAGraph", object)
    capture_graph(slot, batch, lane)
    assert log == [
        *("lane waits for main", "on lane", "off"),
        *("captured on lane", "main waits for lane"),
    ]
    assert_equal([member], [reference])
