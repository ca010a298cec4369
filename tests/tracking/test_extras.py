"""What W&B gets only on request: alerts, a run's files; and what one run of a process logs."""

import json
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from resnet_bench.paths import ROOT
from resnet_bench.records.run_directory import RunDirectory
from resnet_bench.suites.experiment import Run
from resnet_bench.sweeps.group import run_group
from resnet_bench.sweeps.machine import Machine
from resnet_bench.sweeps.sweep import sweep
from resnet_bench.tracking import extras
from resnet_bench.tracking.extras import ALERTS, ARTIFACTS, alert_of_sweep
from tests.support.wandb_runs import inspect, log, of_type, run_of, start, summary
from tests.support.wandb_runs import wandb_environment as wandb_environment  # a fixture
from tests.support.wandb_stub import KEY, Stub, Trouble


@pytest.fixture(autouse=True)
def stub(wandb_environment: None, monkeypatch: pytest.MonkeyPatch) -> Iterator[Stub]:
    for variable in (ALERTS, ARTIFACTS, "RESNET_BENCH_JOB"):
        monkeypatch.delenv(variable, raising=False)
    with Stub() as stub:
        monkeypatch.setenv("WANDB_BASE_URL", stub.url)
        monkeypatch.setenv("WANDB_API_KEY", KEY)
        yield stub


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "results" / "smoke"


def train(folder: Path, status: str = "finished", mode: str = "online") -> None:
    run = run_of("plain-8")
    tracker = start(run, folder, "an-id", mode=mode)
    log(tracker, run, folder, [1, 2])
    tracker.finish(summary(status))


def test_a_run_that_diverges_sends_an_alert_if_alerts_are_wanted(
    stub: Stub, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    train(folder, "diverged")
    assert stub.runs["an-id"].alerts == []
    monkeypatch.setenv(ALERTS, "0")
    train(folder, "diverged")
    assert stub.runs["an-id"].alerts == []
    monkeypatch.setenv(ALERTS, "1")
    train(folder)
    assert stub.runs["an-id"].alerts == []
    train(folder, "diverged")
    assert stub.runs["an-id"].alerts == ["plain-8-s0 diverged: at iteration 20"]
    assert stub.runs["an-id"].exit_code == 1


def test_the_end_of_a_sweep_is_an_alert_of_a_run_of_its_own(
    stub: Stub, runs: list[Run], machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    online = replace(machine, wandb_mode="online")
    alert_of_sweep("small", "2 of 2", folder=machine.results, mode="online")
    assert stub.runs == {}  # nobody wants any
    monkeypatch.setenv(ALERTS, "1")
    alert_of_sweep("small", "2 of 2", folder=machine.results, mode="offline")
    assert sweep(runs, online, time_limit=0.0).exit_code() == 75
    assert stub.runs == {}  # it is to go on
    assert sweep(runs, online, workers=1).exit_code() == 0
    [alerted] = [name for name in stub.runs if name.startswith("sweep-small-")]
    said = "sweep of small has ended: 2 of 2 runs finished"
    assert stub.runs[alerted].alerts == [said]
    assert stub.runs[alerted].exit_code == 0
    assert stub.runs[alerted].upserts[0]["jobType"] == "sweep"
    assert len(stub.runs) == 3
    assert sweep(runs, online).exit_code() == 0
    assert len(stub.runs) == 3  # there was nothing to train


def test_an_artifact_holds_the_files_of_the_run_as_they_are_at_its_end(
    stub: Stub, runs: list[Run], machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    run_group(runs[:1], replace(machine, wandb_mode="online"))
    [without] = stub.runs.values()
    assert without.artifact == {}
    monkeypatch.setenv(ARTIFACTS, "1")
    run_group(runs[1:], replace(machine, wandb_mode="online"))
    directory = RunDirectory(runs[1].directory(machine.results))
    there = stub.runs[json.loads(directory.run_json.read_text())["wandb_id"]]
    files = {key: value for key, value in there.artifact.items() if key != "manifest"}
    assert set(files) == {"run.json", "epochs.csv", "summary.json"}
    for name, contents in files.items():
        assert contents == (directory.path / name).read_bytes()
    assert there.exit_code == 0


@pytest.mark.parametrize("trouble", ["error", "hang"])
def test_a_server_that_fails_at_the_end_gets_no_files_and_holds_nothing_up(
    trouble: Trouble,
    stub: Stub,
    folder: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv(ARTIFACTS, "1")
    monkeypatch.setenv("WANDB_FINISH_TIMEOUT", "1")
    monkeypatch.setattr(extras, "SECONDS", 1.0)
    runs = [run_of("plain-8", seed) for seed in (0, 1)]
    trackers = [start(run, folder, f"id-{run.seed}", mode="online") for run in runs]
    for run, tracker in zip(runs, trackers, strict=True):
        log(tracker, run, folder, [1])
    while len(stub.runs) < 2:
        time.sleep(0.1)
    stub.trouble = trouble
    for tracker in trackers:
        tracker.finish(summary())
    output, errors = capfd.readouterr()
    assert output == ""
    said = "warning: W&B: no answer about the files of a run; what the server has not received"
    assert errors.startswith(said)
    assert errors.count("\n") == 1
    train(folder)  # offline, after that
    assert len(stub.runs) == 2


def test_the_files_of_an_offline_run_wait_on_disk(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv(ARTIFACTS, "1")
    train(folder, mode="offline")
    [attempt] = inspect(folder, "an-id")
    [artifact] = of_type(attempt, "artifact")
    assert {"epochs.csv", "summary.json"} <= {
        entry["path"] for entry in artifact["manifest"]["contents"]
    }
    assert capfd.readouterr() == ("", "")


def test_one_of_the_runs_that_are_alive_in_a_process_logs_its_load(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WANDB__STATS_SAMPLING_INTERVAL", "0.1")
    trackers = [start(run_of("plain-8", seed), folder, f"id-{seed}") for seed in range(4)]
    while not any(measured(folder, seed) for seed in range(4)):
        time.sleep(0.1)
    for tracker in trackers:
        tracker.finish(summary())
    assert [measured(folder, seed) for seed in range(4)] == [True, False, False, False]


def measured(folder: Path, seed: int) -> bool:
    """Whether a run has logged the machine's load."""
    return any(of_type(attempt, "stats") for attempt in inspect(folder, f"id-{seed}"))


def test_runs_of_a_job_have_its_name_before_their_group(
    stub: Stub, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RESNET_BENCH_JOB", "slurm-7")
    train(folder)
    assert stub.runs["an-id"].upserts[0]["groupName"] == "slurm-7-plain-8"


@pytest.mark.parametrize("variable", [ALERTS, ARTIFACTS])
def test_the_variables_are_in_the_example_of_env(variable: str) -> None:
    assert f"#{variable}=1\n" in (ROOT / ".env.example").read_text()
