"""Runs on disk: written, skipped, refused, mirrored."""

import io
import json
import pickle
import time
import zipfile
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest
import torch

from resnet_bench.errors import UserError
from resnet_bench.records.epochs import EpochRecord
from resnet_bench.records.layers import LayerRecord
from resnet_bench.records.run_directory import RunDirectory, Summary
from resnet_bench.suites.experiment import Run
from resnet_bench.sweeps import group, open_run
from resnet_bench.sweeps.group import run_group
from resnet_bench.sweeps.machine import Machine
from resnet_bench.sweeps.progress import Progress
from resnet_bench.tracking import tracker
from resnet_bench.training import checkpoints
from resnet_bench.training.checkpoints import export_weights
from resnet_bench.training.state import new_state
from tests.support.runs_on_disk import stop_at


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


def test_waiting_for_a_gpu_before_a_checkpoint_is_on_the_clock(
    runs: list[Run], monkeypatch: pytest.MonkeyPatch
) -> None:
    """What a GPU still has to do when its checkpoint is due is training."""
    (state, *_) = states = [new_state(run, torch.device("cpu")) for run in runs[:2]]
    monkeypatch.setattr(torch.cuda, "synchronize", lambda _: time.sleep(0.01))
    group.wait_for_device(states)
    assert state.seconds == 0  # a CPU has nothing left to do
    for each in states:
        monkeypatch.setattr(each, "device", torch.device("cuda", 0))
    group.wait_for_device(states)
    assert state.seconds == state.interval_seconds >= 0.01
    assert {each.seconds for each in states} == {state.seconds}


def test_a_finished_run_is_skipped(runs: list[Run], machine: Machine) -> None:
    run_group(runs[:1], machine)
    folder = runs[0].directory(machine.results)
    before = {path.name: (path.stat().st_mtime_ns, path.read_bytes()) for path in folder.iterdir()}
    (progress,) = run_group(runs[:1], machine)
    after = {path.name: (path.stat().st_mtime_ns, path.read_bytes()) for path in folder.iterdir()}
    assert before == after
    assert progress.last_record == RunDirectory(folder).rows()[-1]


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
    with pytest.raises(UserError, match="rows from before the checkpoint are not what"):
        run_group(runs[:1], machine)
    directory.epochs_csv.write_text(rows)
    whole = directory.checkpoint.read_bytes()
    flipped = bytearray(whole)
    with zipfile.ZipFile(directory.checkpoint) as file:
        largest = file.read(max(file.infolist(), key=lambda info: info.file_size))
    flipped[whole.index(largest) + len(largest) // 2] ^= 1  # a weight: torch.load does not notice
    for contents in (whole[:1000], bytes(flipped), b"", pickle.dumps([1])):
        directory.checkpoint.write_bytes(contents)
        with pytest.raises(UserError, match=r"checkpoint.pt: damaged"):
            run_group(runs[:1], machine)
        with pytest.raises(UserError, match=r"checkpoint.pt: damaged"):
            export_weights(directory.checkpoint, machine.results / "weights.pt", {})
    state = torch.load(io.BytesIO(whole), weights_only=True)
    nothing: dict[str, None] = dict.fromkeys(state)
    for other in ([1], nothing, state | {"iteration": None}, state | {"totals": None}):
        torch.save(other, directory.checkpoint)
        with pytest.raises(UserError, match=r"checkpoint.pt: damaged"):
            run_group(runs[:1], machine)
    directory.checkpoint.unlink()
    directory.checkpoint.mkdir()
    with pytest.raises(UserError, match=r"checkpoint.pt: cannot be read: Is a directory"):
        run_group(runs[:1], machine)
    directory.checkpoint.rmdir()
    directory.checkpoint.write_bytes(whole)
    run_group(runs[:1], machine)
    assert directory.status() == "finished"


def test_a_finished_run_that_lost_records_is_not_taken_for_one(
    runs: list[Run], machine: Machine
) -> None:
    run_group(runs[:1], machine)
    directory = RunDirectory(runs[0].directory(machine.results))
    directory.keep_rows(1)
    with pytest.raises(UserError, match=r"damaged: epochs.csv is not what .*; move the folder"):
        run_group(runs[:1], machine)


def test_two_processes_do_not_train_one_run(runs: list[Run], machine: Machine) -> None:
    def second(progresses: Sequence[Progress]) -> bool:
        (other,) = run_group(runs[:1], machine)
        assert other.status == "elsewhere"
        return False

    run_group(runs[:1], machine, second)


def test_results_that_cannot_be_written(runs: list[Run], machine: Machine) -> None:
    machine.results.write_text("a file where the folder should be")
    with pytest.raises(UserError, match=r"cannot (write|be read)"):
        run_group(runs[:1], machine)


class Mirror(tracker.Tracker):
    """A tracker that notes what was on disk when it heard of a record."""

    def __init__(self, directory: RunDirectory) -> None:
        self.directory = directory
        self.heard: list[tuple[int, int, int]] = []  # epoch, rows on disk, checkpoint's iteration

    def log(self, rows: EpochRecord | list[LayerRecord]) -> None:
        assert isinstance(rows, EpochRecord)
        saved = torch.load(self.directory.checkpoint, weights_only=True)["iteration"]
        self.heard.append((rows.epoch, len(self.directory.rows()), saved))


def test_the_mirror_hears_each_epoch_once_after_row_and_checkpoint(
    runs: list[Run], machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    mirrors = []

    def start(run: Run, identity: dict[str, Any], **options: Any) -> Mirror:
        mirrors.append(Mirror(RunDirectory(run.directory(machine.results))))
        return mirrors[-1]

    monkeypatch.setattr(open_run, "start_tracking", start)
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
    checkpoints.export_weights(folder / "checkpoint.pt", folder / "weights.pt", {})
    weights = torch.load(folder / "weights.pt", weights_only=True)
    expected = torch.load(folder / "checkpoint.pt", weights_only=True)["network"]
    assert weights.keys() == expected.keys()
    assert all(torch.equal(weights[name], expected[name]) for name in expected)
    with pytest.raises(UserError, match="train the run first"):
        checkpoints.export_weights(folder / "none.pt", folder / "weights.pt", {})


def test_a_run_that_starts_again_is_another_one_to_wandb(runs: list[Run], machine: Machine) -> None:
    """Its rows are made again: under the same id they would stand there twice."""
    run_group(runs[:1], machine, stop_at(30))
    directory = RunDirectory(runs[0].directory(machine.results))
    first = wandb_id(directory)
    run_group(runs[:1], machine, stop_at(40))
    assert wandb_id(directory) == first
    directory.checkpoint.unlink()  # the one before it is left
    run_group(runs[:1], machine, stop_at(45))
    assert wandb_id(directory) == first
    directory.checkpoint.unlink()
    directory.checkpoint_before.unlink(missing_ok=True)
    run_group(runs[:1], machine)
    assert wandb_id(directory) != first


def wandb_id(directory: RunDirectory) -> str:
    description = directory.description()
    assert description is not None
    return str(description["wandb_id"])


def test_a_group_with_a_damaged_run_begins_none(runs: list[Run], machine: Machine) -> None:
    run_group(runs[1:2], machine, stop_at(30))
    directory = RunDirectory(runs[1].directory(machine.results))
    directory.checkpoint.write_bytes(b"")
    with pytest.raises(UserError, match=r"checkpoint.pt: damaged"):
        run_group(runs[:2], machine)
    assert RunDirectory(runs[0].directory(machine.results)).status() == "missing"
    directory.run_json.write_text("{}")
    with pytest.raises(UserError, match=r"run.json: damaged: not a run's description; move"):
        run_group(runs[1:2], machine)


def test_a_group_that_cannot_begin_closes_the_mirrors_that_have_begun(
    runs: list[Run], machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    closed: list[str] = []

    class Noted(tracker.Tracker):
        def __init__(self, name: str) -> None:
            self.name = name

        def finish(self, summary: Summary | None) -> None:
            assert summary is None
            closed.append(self.name)

    def start(run: Run, *_: object, **__: object) -> Noted:
        if run == runs[1]:
            raise UserError("cannot")
        return Noted(run.name)

    monkeypatch.setattr(open_run, "start_tracking", start)
    with pytest.raises(UserError, match="cannot"):
        run_group(runs[:2], machine)
    assert closed == [runs[0].name]


def test_a_run_without_its_description_is_not_finished(runs: list[Run], machine: Machine) -> None:
    """Nobody knows what it was made with, and the analysis does not show it."""
    run_group(runs[:1], machine)
    directory = RunDirectory(runs[0].directory(machine.results))
    directory.run_json.unlink()
    with pytest.raises(UserError, match=r"run\.json is missing; move the folder away"):
        run_group(runs[:1], machine)
