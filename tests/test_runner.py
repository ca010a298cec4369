"""Runs on disk: skipped, resumed, refused; after any interruption the same bits."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from resnet_bench import checkpoints, runner, tracking
from resnet_bench.errors import UserError
from resnet_bench.experiments import Experiment, Run, find_experiment
from resnet_bench.progress import Machine, Progress
from resnet_bench.records import TIME_COLUMNS, EpochRecord, RunDirectory, Summary
from resnet_bench.runner import run_group

ROOT = Path(__file__).parent.parent


class Killed(BaseException):
    """Ends a run with no chance to save anything, as SIGKILL does."""


def result(run: Run, machine: Machine) -> tuple[list[dict[str, Any]], dict[str, torch.Tensor]]:
    """The rows of a run without their times, and its weights."""
    directory = RunDirectory(run.directory(machine.results))
    rows = [{k: v for k, v in vars(r).items() if k not in TIME_COLUMNS} for r in directory.rows()]
    state = torch.load(directory.checkpoint, weights_only=True)
    return rows, state["network"] | {
        f"momentum {index}": slot["momentum_buffer"]
        for index, slot in state["optimizer"]["state"].items()
    }


def assert_same(run: Run, machine: Machine, other: Machine) -> None:
    (rows, tensors), (expected_rows, expected) = result(run, machine), result(run, other)
    assert rows == expected_rows
    assert tensors.keys() == expected.keys()
    assert all(torch.equal(tensors[name], expected[name]) for name in expected)


def stop_at(iteration: int) -> Callable[[Sequence[Progress]], bool]:
    return lambda progresses: all(p.iteration < iteration for p in progresses)


@pytest.fixture
def runs(small: tuple[Experiment, ...]) -> list[Run]:
    return [Run(experiment, 0) for experiment in small]


@pytest.fixture
def uninterrupted(runs: list[Run], machine: Machine) -> Machine:
    """A machine whose results hold both runs, trained in one go."""
    reference = replace(machine, results=machine.results.with_name("reference"))
    for run in runs:
        run_group([run], reference)
    return reference


def test_the_files_of_a_finished_run(runs: list[Run], machine: Machine) -> None:
    (progress,) = run_group(runs[:1], machine)
    directory = RunDirectory(machine.results / "small/plain-8/seed-0")
    rows = directory.rows()
    assert [row.iteration for row in rows] == [23, 45, 50]  # ceil(e * 1437 / 64), the last
    assert rows[-1].learning_rate == 0.002
    assert directory.status() == progress.status == "finished"
    summary = directory.summary()
    assert summary is not None
    assert summary.final == vars(rows[-1])
    description = directory.description()
    assert description is not None
    assert description["identity"]["recipe"]["learning_rate"] == 0.02
    assert description["identity"]["precision"] == "ieee"
    assert description["identity"]["threads"] == 1
    (attempt,) = description["attempts"]
    assert (attempt["first_iteration"], attempt["last_iteration"]) == (0, 50)
    assert attempt["seconds"] == pytest.approx(sum(row.seconds for row in rows))
    assert attempt["versions"]["torch"] == torch.__version__
    assert attempt["group_size"] == 1


def test_networks_of_a_suite_are_matched_and_the_digests_say_so(
    runs: list[Run], machine: Machine
) -> None:
    run_group([*runs], machine)
    run_group([Run(runs[0].experiment, 1)], machine)
    plain, residual, other_seed = (
        json.loads((machine.results / "small" / name / "run.json").read_text())["identity"]
        for name in ("plain-8/seed-0", "resnet-8-A/seed-0", "plain-8/seed-1")
    )
    assert plain["digests"] == residual["digests"]
    for digest in ("batch_stream", "initial_weights", "initial_shared_weights"):
        assert plain["digests"][digest] != other_seed["digests"][digest]


def test_a_finished_run_is_skipped(runs: list[Run], machine: Machine) -> None:
    run_group(runs[:1], machine)
    folder = runs[0].directory(machine.results)
    before = {path.name: (path.stat().st_mtime_ns, path.read_bytes()) for path in folder.iterdir()}
    (progress,) = run_group(runs[:1], machine)
    after = {path.name: (path.stat().st_mtime_ns, path.read_bytes()) for path in folder.iterdir()}
    assert before == after
    assert progress.last_record == RunDirectory(folder).rows()[-1]


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


def test_a_directory_of_another_recipe_is_refused(runs: list[Run], machine: Machine) -> None:
    run_group(runs[:1], machine)
    experiment = runs[0].experiment
    recipe = experiment.recipe.model_copy(update={"momentum": 0.5})
    other = Run(replace(experiment, recipe=recipe), 0)
    before = RunDirectory(runs[0].directory(machine.results)).epochs_csv.read_bytes()
    with pytest.raises(UserError, match=r"recipe.momentum is 0.9 there, 0.5 now"):
        run_group([other], machine)
    assert RunDirectory(runs[0].directory(machine.results)).epochs_csv.read_bytes() == before


def test_a_partial_run_with_other_initial_weights_is_refused(
    runs: list[Run], machine: Machine
) -> None:
    run_group(runs[:1], machine, stop_at(5))
    path = RunDirectory(runs[0].directory(machine.results)).run_json
    description = json.loads(path.read_text())
    description["identity"]["digests"]["initial_weights"] = "0" * 64
    path.write_text(json.dumps(description))
    with pytest.raises(UserError, match=r"digests.initial_weights"):
        run_group(runs[:1], machine)


def test_a_damaged_checkpoint_and_missing_rows(runs: list[Run], machine: Machine) -> None:
    run_group(runs[:1], machine, stop_at(30))
    directory = RunDirectory(runs[0].directory(machine.results))
    rows = directory.epochs_csv.read_text()
    directory.epochs_csv.write_text(rows.splitlines()[0] + "\n")
    with pytest.raises(UserError, match="rows from before its checkpoint are missing"):
        run_group(runs[:1], machine)
    directory.epochs_csv.write_text(rows)
    directory.checkpoint.write_bytes(directory.checkpoint.read_bytes()[:1000])
    with pytest.raises(UserError, match=r"checkpoint.pt: damaged"):
        run_group(runs[:1], machine)


def test_two_processes_do_not_train_one_run(runs: list[Run], machine: Machine) -> None:
    def second(progresses: Sequence[Progress]) -> bool:
        with pytest.raises(UserError, match="another process is training this run"):
            run_group(runs[:1], machine)
        return False

    run_group(runs[:1], machine, second)


def test_results_that_cannot_be_written(runs: list[Run], machine: Machine) -> None:
    machine.results.write_text("a file where the folder should be")
    with pytest.raises(UserError, match=r"cannot (write|be read)"):
        run_group(runs[:1], machine)


class Mirror(tracking.Tracker):
    """A tracker that notes what was on disk when it heard of a record."""

    def __init__(self, directory: RunDirectory) -> None:
        self.directory = directory
        self.heard: list[tuple[int, int, int]] = []  # epoch, rows on disk, checkpoint's iteration

    def log(self, record: EpochRecord) -> None:
        saved = torch.load(self.directory.checkpoint, weights_only=True)["iteration"]
        self.heard.append((record.epoch, len(self.directory.rows()), saved))


def test_the_mirror_hears_each_epoch_once_after_row_and_checkpoint(
    runs: list[Run], machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    mirrors = []

    def start(run: Run, identity: dict[str, Any], **options: Any) -> Mirror:
        mirrors.append(Mirror(RunDirectory(run.directory(machine.results))))
        return mirrors[-1]

    monkeypatch.setattr(tracking, "start_tracking", start)
    machine = replace(machine, checkpoint_seconds=0.0)
    run_group(runs[:1], machine, stop_at(30))
    run_group(runs[:1], machine)
    first, second = mirrors
    assert [epoch for epoch, _, _ in first.heard + second.heard] == [1, 2, 3]
    for (epoch, rows, saved), due in zip(first.heard + second.heard, (23, 45, 50), strict=True):
        assert rows >= epoch
        assert saved >= due


def test_exported_weights_are_a_plain_state_dict(runs: list[Run], machine: Machine) -> None:
    run_group(runs[:1], machine)
    folder = runs[0].directory(machine.results)
    checkpoints.export_weights(folder / "checkpoint.pt", folder / "weights.pt")
    weights = torch.load(folder / "weights.pt", weights_only=True)
    expected = torch.load(folder / "checkpoint.pt", weights_only=True)["network"]
    assert weights.keys() == expected.keys()
    assert all(torch.equal(weights[name], expected[name]) for name in expected)
    with pytest.raises(UserError, match="train the run first"):
        checkpoints.export_weights(folder / "none.pt", folder / "weights.pt")


def command_line(*arguments: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "resnet_bench", *arguments],
        cwd=ROOT,
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )


def sweep_of(results: Path) -> subprocess.Popen[str]:
    options = ["--wandb", "disabled", "--device", "cpu", "--results", str(results)]
    return command_line("sweep", "smoke", *options)


def status_of(results: Path) -> str:
    with command_line("status", "smoke", "--results", str(results)) as process:
        return process.communicate()[0]


@pytest.fixture(scope="module")
def reference(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The results of a sweep of `smoke` that nobody interrupted."""
    results = tmp_path_factory.mktemp("reference")
    with sweep_of(results) as process:
        output, errors = process.communicate()
    assert process.returncode == 0, errors
    assert "6 of 6 runs finished" in output
    return results


@pytest.mark.parametrize(
    ("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 75), (signal.SIGKILL, -9)]
)
def test_an_interrupted_sweep_goes_on_to_the_same_bits(
    tmp_path: Path, reference: Path, number: signal.Signals, code: int
) -> None:
    """The whole command, in processes of its own, interrupted while it trains."""
    with sweep_of(tmp_path) as process:
        while process.poll() is None and not list(tmp_path.glob("smoke/*/*/epochs.csv")):
            time.sleep(0.02)
        os.kill(process.pid, number)
        # Returns when the workers have left, too: they hold the other end of the pipe.
        output, errors = process.communicate()
    assert process.returncode == code, errors
    if number != signal.SIGKILL:
        assert "the same command goes on from here" in output
        assert "Traceback" not in errors
    assert "missing" in status_of(tmp_path)
    with sweep_of(tmp_path) as process:
        output, errors = process.communicate()
    assert process.returncode == 0, errors
    assert status_of(tmp_path).count("finished") == 6
    folders = sorted(reference.glob("smoke/*/seed-0"))
    assert len(folders) == 6
    for folder in folders:
        expected = RunDirectory(folder).rows()
        rows = RunDirectory(tmp_path / folder.relative_to(reference)).rows()
        assert [r.train_loss for r in rows] == [r.train_loss for r in expected]
        assert [r.precise_test_error for r in rows] == [r.precise_test_error for r in expected]


def test_a_sweep_equals_its_runs_alone(reference: Path, tmp_path: Path) -> None:
    run = Run(find_experiment("smoke/resnet-14-B"), 0)
    machine = Machine(tmp_path, device="cpu")
    run_group([run], machine)
    assert_same(run, machine, replace(machine, results=reference))


def test_a_time_limit_stops_in_time_with_a_code_of_its_own(tmp_path: Path) -> None:
    options = ["--wandb", "disabled", "--device", "cpu", "--results", str(tmp_path)]
    with command_line("run", "digits/plain-20", "--time-limit", "6s", *options) as process:
        output, errors = process.communicate()
    assert process.returncode == 75, errors
    assert "0 of 1 runs finished, stopped; the same command goes on from here" in output
