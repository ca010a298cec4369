"""Layers measured in runs on disk: without a trace on them, and after any interruption the same."""

from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from resnet_bench.errors import UserError
from resnet_bench.gpu.lockstep import LaneStep
from resnet_bench.records.epochs import TIME_COLUMNS, EpochRecord
from resnet_bench.records.layers import LayerRecord, LayersFile
from resnet_bench.records.run_directory import RunDirectory
from resnet_bench.suites.experiment import Experiment, Run
from resnet_bench.sweeps import group, open_run
from resnet_bench.sweeps.group import run_group
from resnet_bench.sweeps.machine import Machine
from resnet_bench.tracking import tracker
from resnet_bench.training import loop, signals
from tests.support.recording import record_graph
from tests.support.runs_on_disk import stop_at

LAYERS_AT = (0, 3, 8, 12)  # 8 ends the first epoch of 128 images in batches of 16
QUICK = {"iterations": 12, "drops": (10,), "batch_size": 16, "train_images": 128}


class Killed(BaseException):
    """Ends a run with no chance to save anything, as SIGKILL does."""


def changed(experiment: Experiment, **changes: Any) -> Run:
    recipe = experiment.recipe.model_copy(update=QUICK | changes)
    return Run(replace(experiment, recipe=recipe), 0)


@pytest.fixture
def runs(small: tuple[Experiment, ...]) -> list[Run]:
    """plain-8 and resnet-8-A, measured at LAYERS_AT."""
    return [changed(experiment, layers_at=LAYERS_AT) for experiment in small]


@pytest.fixture
def uninterrupted(runs: list[Run], machine: Machine) -> Machine:
    """A machine whose results hold plain-8, trained in one go."""
    reference = replace(machine, results=machine.results.with_name("reference"))
    run_group(runs[:1], reference)
    return reference


def directory_of(run: Run, machine: Machine) -> RunDirectory:
    return RunDirectory(run.directory(machine.results))


def iterations(run: Run, machine: Machine) -> list[int]:
    rows = LayersFile(directory_of(run, machine).layers_csv).rows()
    return sorted({row.iteration for row in rows})


def assert_same(run: Run, machine: Machine, other: Machine, *, layers: bool = True) -> None:
    """The same records, apart from times, the same weights and momenta, and the same layers.csv."""
    first, second = directory_of(run, machine), directory_of(run, other)
    for row, expected in zip(first.rows(), second.rows(), strict=True):
        for name in vars(row).keys() - set(TIME_COLUMNS):
            assert getattr(row, name) == getattr(expected, name)
    states = [torch.load(d.checkpoint, weights_only=True) for d in (first, second)]
    for name, tensor in states[1]["network"].items():
        assert torch.equal(states[0]["network"][name], tensor), name
    for index, slot in states[1]["optimizer"]["state"].items():
        momentum = states[0]["optimizer"]["state"][index]["momentum_buffer"]
        assert torch.equal(momentum, slot["momentum_buffer"])
    if layers:
        assert first.layers_csv.read_bytes() == second.layers_csv.read_bytes()


def test_measuring_changes_nothing_but_adds_a_file(
    runs: list[Run], small: tuple[Experiment, ...], machine: Machine, uninterrupted: Machine
) -> None:
    assert iterations(runs[0], uninterrupted) == list(LAYERS_AT)
    rows = LayersFile(directory_of(runs[0], uninterrupted).layers_csv).rows()
    assert [row.layer for row in rows] == [*range(9)] * 4
    unmeasured = changed(small[0])
    run_group([unmeasured], machine)
    assert_same(unmeasured, machine, uninterrupted, layers=False)
    assert not directory_of(unmeasured, machine).layers_csv.exists()


def test_a_stopped_run_measures_each_iteration_once(
    runs: list[Run], machine: Machine, uninterrupted: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    measured = []
    original = signals.measure_layers

    def counted(state: Any, data: Any) -> list[LayerRecord]:
        measured.append(state.iteration)
        return original(state, data)

    monkeypatch.setattr(open_run, "measure_layers", counted)
    # The record of iteration 8 is broken off, and layers come after it.
    for iteration, there in ((0, [0]), (3, [0, 3]), (5, [0, 3]), (8, [0, 3])):
        run_group(runs[:1], machine, stop_at(iteration))
        assert iterations(runs[0], machine) == there
    run_group(runs[:1], machine)
    assert measured == list(LAYERS_AT)
    assert_same(runs[0], machine, uninterrupted)


def test_what_a_gpu_still_has_to_do_before_layers_is_on_the_clock(
    runs: list[Run], machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    waits = []
    monkeypatch.setattr(group, "wait_for_device", lambda s: waits.append(s[0].iteration))
    run_group(runs[:1], replace(machine, checkpoint_seconds=1e9))
    assert waits == list(LAYERS_AT)


def test_a_run_that_is_killed_again_and_again_leaves_the_same_bytes(
    runs: list[Run], machine: Machine, uninterrupted: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    original = LayersFile.append

    def kill_at(iteration: int, torn: int = 0) -> None:
        def killed(self: LayersFile, records: list[LayerRecord]) -> None:
            original(self, records)
            if records[0].iteration == iteration:
                self.path.write_text(self.path.read_text()[: -torn or None])
                raise Killed

        with monkeypatch.context() as patch:
            patch.setattr(LayersFile, "append", killed)
            with pytest.raises(Killed):
                run_group(runs[:1], machine)

    kill_at(0)
    kill_at(3, torn=300)
    assert not directory_of(runs[0], machine).checkpoint.exists()
    assert iterations(runs[0], machine) == [0]
    run_group(runs[:1], machine, stop_at(5))
    kill_at(8)
    assert iterations(runs[0], machine) == [0, 3, 8]  # the last is past the checkpoint
    run_group(runs[:1], machine)
    assert_same(runs[0], machine, uninterrupted)


def test_steps_in_lanes_are_measured_alike(
    runs: list[Run], machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    # A power of two, so that the rate is the same number as a Python float and as a tensor.
    exact = [changed(r.experiment, layers_at=(0, 3, 5), learning_rate=2**-5) for r in runs]
    exact = [changed(r.experiment, iterations=5, drops=()) for r in exact]
    reference = replace(machine, results=machine.results.with_name("reference"))
    for run in exact:
        run_group([run], reference)

    def in_lanes(runs: Any, _: Machine) -> tuple[LaneStep, dict[str, object]]:
        states = [run.state for run in runs]
        return LaneStep(states, lanes=2, capture=record_graph), {}

    monkeypatch.setattr(group, "_choose_step", in_lanes)
    run_group(exact, machine)
    for run in exact:
        assert iterations(run, machine) == [0, 3, 5]
        assert_same(run, machine, reference)


def test_the_time_of_measuring_is_not_training_time(
    runs: list[Run], machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    seconds = 0.0

    def clock() -> float:
        nonlocal seconds
        seconds += 1
        return seconds

    def slow(*_: Any) -> list[LayerRecord]:
        nonlocal seconds
        seconds += 1000
        row = LayerRecord(
            iteration=0,
            layer=0,
            name="",
            kind="",
            activation_deviation=1.0,
            activation_gradient_norm=1.0,
        )
        return [row]

    monkeypatch.setattr(loop, "time", SimpleNamespace(perf_counter=clock))
    monkeypatch.setattr(open_run, "measure_layers", slow)
    run_group(runs[:1], machine)
    summary = directory_of(runs[0], machine).summary()
    assert summary is not None
    assert summary.seconds == 12  # one for each iteration
    assert seconds >= 4000


def test_a_run_that_diverges_is_measured_as_long_as_its_loss_is_finite(
    small: tuple[Experiment, ...], machine: Machine
) -> None:
    broken = changed(small[0], learning_rate=1e30, layers_at=(0, 1, 7, 12))
    eager = replace(machine, checkpoint_seconds=0.0)
    run_group([broken], eager, stop_at(8))  # past a measurement that was left out
    (progress,) = run_group([broken], eager)
    assert progress.status == "diverged"
    assert 1 <= progress.iteration <= 7
    expected = [i for i in (0, 1, 7) if i < progress.iteration]
    assert iterations(broken, machine) == expected


def test_missing_rows(runs: list[Run], machine: Machine) -> None:
    run_group(runs[:1], machine, stop_at(5))
    file = LayersFile(directory_of(runs[0], machine).layers_csv)
    file.keep_rows(0)
    with pytest.raises(UserError, match=r"layers.csv: damaged: rows from before the check"):
        run_group(runs[:1], machine)


class Mirror(tracker.Tracker):
    """A tracker that notes the checkpoint's iteration when it hears of something."""

    def __init__(self, directory: RunDirectory) -> None:
        self.directory = directory
        self.heard: list[tuple[str, int, int]] = []

    def _note(self, what: str, iteration: int) -> None:
        saved = torch.load(self.directory.checkpoint, weights_only=True)["iteration"]
        self.heard.append((what, iteration, saved))

    def log(self, rows: EpochRecord | list[LayerRecord]) -> None:
        if isinstance(rows, EpochRecord):
            self._note("epoch", rows.iteration)
        else:
            assert len(rows) == 9
            self._note("layers", rows[0].iteration)


def test_the_mirror_hears_of_each_measurement_once_after_its_checkpoint(
    runs: list[Run], machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    mirrors: list[Mirror] = []

    def start(run: Run, identity: dict[str, Any], **options: Any) -> Mirror:
        mirrors.append(Mirror(directory_of(run, machine)))
        return mirrors[-1]

    monkeypatch.setattr(open_run, "start_tracking", start)
    machine = replace(machine, checkpoint_seconds=0.0)
    run_group(runs[:1], machine, stop_at(3))
    run_group(runs[:1], machine)
    first, second = mirrors
    assert first.heard == [("layers", 0, 0), ("layers", 3, 3)]
    assert second.heard == [
        (what, iteration, iteration) for iteration in (8, 12) for what in ("epoch", "layers")
    ]
