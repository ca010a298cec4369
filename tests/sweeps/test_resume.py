"""After any interruption, whatever was or was not on disk by then, a run has the same bits."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from resnet_bench.records.epochs import EpochRecord
from resnet_bench.records.run_directory import RunDirectory, Summary
from resnet_bench.suites.experiment import Run
from resnet_bench.suites.suite import find_experiment
from resnet_bench.sweeps.group import run_group
from resnet_bench.sweeps.machine import Machine
from resnet_bench.sweeps.progress import Progress
from tests.support.runs_on_disk import assert_same, stop_at


class Killed(BaseException):
    """Ends a run with no chance to save anything, as SIGKILL does."""


@pytest.fixture
def uninterrupted(runs: list[Run], machine: Machine) -> Machine:
    """A machine whose results hold both runs, trained in one go."""
    reference = replace(machine, results=machine.results.with_name("reference"))
    for run in runs:
        run_group([run], reference)
    return reference


def attempts(run: Run, machine: Machine) -> list[tuple[int, int]]:
    """The first and the last iteration of each attempt at `run`."""
    description = RunDirectory(run.directory(machine.results)).description()
    assert description is not None
    return [(a["first_iteration"], a["last_iteration"]) for a in description["attempts"]]


@pytest.mark.parametrize("iteration", [1, 22, 23, 24, 49])
def test_a_stopped_run_goes_on_to_the_same_bits(
    runs: list[Run], machine: Machine, uninterrupted: Machine, iteration: int
) -> None:
    (progress,) = run_group(runs[:1], machine, stop_at(iteration))
    assert (progress.status, progress.iteration) == ("stopped", iteration)
    assert RunDirectory(runs[0].directory(machine.results)).status() == "partial"
    run_group(runs[:1], machine)
    assert_same(runs[0], machine, uninterrupted)
    assert attempts(runs[0], machine) == [(0, iteration), (iteration, 50)]


def test_a_run_stopped_within_an_epoch_of_several_records_goes_on_to_the_same_bits(
    suites: Path, machine: Machine
) -> None:
    settings = ("recipe.records_per_epoch=3", "recipe.iterations=25")
    run = Run(find_experiment("small/plain-8", settings, suites), 0)
    reference = replace(machine, results=machine.results.with_name("reference"))
    run_group([run], reference)
    for iteration in (8, 11, 24):  # at a record, between two, in the second epoch
        run_group([run], machine, stop_at(iteration))
    run_group([run], machine)
    assert_same(run, machine, reference)
    rows = RunDirectory(run.directory(machine.results)).rows()
    assert [(row.epoch, row.iteration) for row in rows] == [(1, 8), (1, 15), (1, 23), (2, 25)]


def interrupt_evaluation(network: str, images: int) -> Callable[[Sequence[Progress]], bool]:
    """Stop in the record of `network` that brings its measured images to `images`."""

    def listen(progresses: Sequence[Progress]) -> bool:
        (*_, last) = progresses
        here = last.run.experiment.network_name == network and last.status == "measuring"
        return not (here and last.measured >= images)

    return listen


# A record measures 360 test images, 1437 twice and 360 again, and 22 batches of 64 for the
# statistics: 5002 images.
@pytest.mark.parametrize("images", [1, 361, 1800, 4000, 5002, 5003, 15006])
def test_a_record_that_was_broken_off_is_made_by_whoever_goes_on(
    runs: list[Run], machine: Machine, uninterrupted: Machine, images: int
) -> None:
    """Within the test error, the clean one, the statistics, the precise one; in the last record."""
    (progress,) = run_group(runs[:1], machine, interrupt_evaluation("plain-8", images))
    records = (images - 1) // 5002
    assert (progress.status, progress.iteration) == ("stopped", (23, 45, 50)[records])
    directory = RunDirectory(runs[0].directory(machine.results))
    assert directory.status() == "partial"
    assert len(directory.rows()) == records
    (progress,) = run_group(runs[:1], machine)
    assert (progress.status, progress.measured) == ("finished", 3 * 5002)
    assert_same(runs[0], machine, uninterrupted)
    iteration = (23, 45, 50)[records]
    assert attempts(runs[0], machine) == [(0, iteration), (iteration, 50)]


def test_a_record_broken_off_twice_and_killed_after_its_row(
    runs: list[Run], machine: Machine, uninterrupted: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its row is there at the checkpoint's iteration, and still not the checkpoint's."""
    for images in (5500, 6000):
        run_group(runs[:1], machine, interrupt_evaluation("plain-8", images))
    original = RunDirectory.append

    def killed_after(self: RunDirectory, record: EpochRecord) -> None:
        original(self, record)
        raise Killed

    monkeypatch.setattr(RunDirectory, "append", killed_after)
    with pytest.raises(Killed):
        run_group(runs[:1], machine)
    monkeypatch.undo()
    rows = RunDirectory(runs[0].directory(machine.results)).rows()
    assert [row.iteration for row in rows] == [23, 45]
    run_group(runs[:1], machine)
    assert_same(runs[0], machine, uninterrupted)


@pytest.mark.parametrize("network", ["plain-8", "resnet-8-A"])
def test_a_group_of_which_one_record_was_broken_off(
    runs: list[Run], machine: Machine, uninterrupted: Machine, network: str
) -> None:
    """The first one's, before the second has its own; or the second's, after the first."""
    run_group(runs, machine, interrupt_evaluation(network, 12_000))
    made = [len(RunDirectory(run.directory(machine.results)).rows()) for run in runs]
    assert made == ([2, 2] if network == "plain-8" else [3, 2])
    progresses = run_group(runs, machine)
    assert [p.status for p in progresses] == ["finished", "finished"]
    for run in runs:
        assert_same(run, machine, uninterrupted)


def test_layers_are_measured_once_where_a_record_was_broken_off(
    suites: Path, machine: Machine
) -> None:
    settings = ("recipe.iterations=30", "recipe.layers_at=[0,23,30]")
    run = Run(find_experiment("small/plain-8", settings, suites), 0)
    reference = replace(machine, results=machine.results.with_name("reference"))
    run_group([run], reference)
    for images in (3000, 8000):  # in the records of iterations 23 and 30
        run_group([run], machine, interrupt_evaluation(run.experiment.network_name, images))
    run_group([run], machine)
    assert_same(run, machine, reference)
    layers, expected = (
        RunDirectory(run.directory(each.results)).layers_csv.read_bytes()
        for each in (machine, reference)
    )
    assert layers == expected


@pytest.mark.parametrize("when", ["before a checkpoint", "after a row", "after the last row"])
def test_a_killed_run_goes_on_to_the_same_bits(
    runs: list[Run],
    machine: Machine,
    uninterrupted: Machine,
    when: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    eager = replace(machine, checkpoint_seconds=0.0 if when != "before a checkpoint" else 99.0)

    def killed_at(progresses: Sequence[Progress]) -> bool:
        if progresses[0].iteration == 30:
            raise Killed
        return True

    original = RunDirectory.append

    def killed_after(self: RunDirectory, record: EpochRecord) -> None:
        original(self, record)
        if record.iteration == (45 if when == "after a row" else 50):
            raise Killed

    if when != "before a checkpoint":
        monkeypatch.setattr(RunDirectory, "append", killed_after)
    with pytest.raises(Killed):
        run_group(runs[:1], eager, killed_at if when == "before a checkpoint" else None)
    monkeypatch.undo()
    directory = RunDirectory(runs[0].directory(machine.results))
    assert directory.checkpoint.exists() == (when != "before a checkpoint")
    assert len(directory.rows()) == {"before a checkpoint": 1, "after a row": 2}.get(when, 3)
    run_group(runs[:1], machine)
    assert_same(runs[0], machine, uninterrupted)


def test_a_run_killed_between_checkpoint_and_summary_only_lacks_its_summary(
    runs: list[Run], machine: Machine, uninterrupted: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    def killed(self: RunDirectory, summary: Summary) -> None:
        raise Killed

    monkeypatch.setattr(RunDirectory, "write_summary", killed)
    with pytest.raises(Killed):
        run_group(runs[:1], machine)
    monkeypatch.undo()
    (progress,) = run_group(runs[:1], machine)
    assert progress.status == "finished"
    assert_same(runs[0], machine, uninterrupted)


def test_a_group_whose_members_stand_at_different_iterations(
    runs: list[Run], machine: Machine, uninterrupted: Machine
) -> None:
    run_group(runs[:1], machine, stop_at(31))
    progresses = run_group(runs, machine)
    assert [p.status for p in progresses] == ["finished", "finished"]
    for run in runs:
        assert_same(run, machine, uninterrupted)


def test_a_diverged_run_ends_and_the_others_of_its_group_go_on(
    runs: list[Run], machine: Machine, uninterrupted: Machine
) -> None:
    experiment = runs[0].experiment
    recipe = experiment.recipe.model_copy(update={"learning_rate": 1e30})
    broken = Run(replace(experiment, network_name="plain-8+learning_rate=1e+30", recipe=recipe), 0)
    progresses = run_group([broken, runs[1]], machine)
    assert [p.status for p in progresses] == ["diverged", "finished"]
    assert_same(runs[1], machine, uninterrupted)
    summary = RunDirectory(broken.directory(machine.results)).summary()
    assert summary is not None
    assert (summary.status, summary.final) == ("diverged", {})
    assert 1 <= summary.iteration <= 23
    (again,) = run_group([broken], machine)
    assert (again.status, again.iteration) == ("diverged", summary.iteration)


def test_a_diverged_run_killed_before_its_summary_diverges_again(
    runs: list[Run], machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    experiment = runs[0].experiment
    recipe = experiment.recipe.model_copy(update={"learning_rate": 1e30})
    broken = Run(replace(experiment, recipe=recipe), 0)
    (first,) = run_group([broken], machine)
    (RunDirectory(broken.directory(machine.results)).summary_json).unlink()
    (second,) = run_group([broken], machine)
    assert (second.status, second.iteration) == ("diverged", first.iteration)
