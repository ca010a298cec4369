"""After any interruption, whatever was or was not on disk by then, a run has the same bits."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest
from runs_on_disk import assert_same, stop_at

from resnet_bench import runner
from resnet_bench.experiments import Run, find_experiment
from resnet_bench.progress import Machine, Progress
from resnet_bench.records import EpochRecord, RunDirectory, Summary
from resnet_bench.runner import run_group


class Killed(BaseException):
    """Ends a run with no chance to save anything, as SIGKILL does."""


@pytest.fixture
def uninterrupted(runs: list[Run], machine: Machine) -> Machine:
    """A machine whose results hold both runs, trained in one go."""
    reference = replace(machine, results=machine.results.with_name("reference"))
    for run in runs:
        run_group([run], reference)
    return reference


@pytest.mark.parametrize("iteration", [1, 22, 23, 24, 49])
def test_a_stopped_run_goes_on_to_the_same_bits(
    runs: list[Run], machine: Machine, uninterrupted: Machine, iteration: int
) -> None:
    (progress,) = run_group(runs[:1], machine, stop_at(iteration))
    assert (progress.status, progress.iteration) == ("stopped", iteration)
    assert RunDirectory(runs[0].directory(machine.results)).status() == "partial"
    run_group(runs[:1], machine)
    assert_same(runs[0], machine, uninterrupted)
    description = RunDirectory(runs[0].directory(machine.results)).description()
    assert description is not None
    attempts = description["attempts"]
    assert [a["first_iteration"] for a in attempts] == [0, iteration]
    assert [a["last_iteration"] for a in attempts] == [iteration, 50]


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
        run_group(runs[:1], eager, killed_at if when == "before a checkpoint" else runner.go_on)
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
