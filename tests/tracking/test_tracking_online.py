"""The W&B mirror against a server that works, fails, hangs, refuses, goes away and comes back."""

import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from itertools import chain
from pathlib import Path

import pytest
import wandb

from resnet_bench.paths import ROOT
from resnet_bench.records.run_directory import RunDirectory
from resnet_bench.tracking.attempts import find_attempts
from resnet_bench.tracking.metrics import METRICS, metrics_of
from resnet_bench.tracking.tracker import new_run_id
from tests.support.wandb_runs import inspect, log, record, rows, run_of, start, summary
from tests.support.wandb_runs import wandb_environment as wandb_environment  # a fixture
from tests.support.wandb_stub import KEY, Stub, Trouble

TROUBLES = ("away", "error", "refuse", "hang")


@pytest.fixture
def stub(wandb_environment: None, monkeypatch: pytest.MonkeyPatch) -> Iterator[Stub]:
    """A server and a key for it; W&B gives up on it after a second."""
    with Stub() as stub:
        monkeypatch.setenv("WANDB_BASE_URL", stub.url)
        monkeypatch.setenv("WANDB_API_KEY", KEY)
        monkeypatch.setenv("WANDB_INIT_TIMEOUT", "1")
        monkeypatch.setenv("WANDB_FINISH_TIMEOUT", "1")
        yield stub


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "results" / "smoke"


def begin(stub: Stub, trouble: Trouble | str) -> None:
    if trouble == "away":
        stub.go_away()
    else:
        stub.trouble = trouble  # type: ignore[assignment]


def until(condition: Callable[[], object]) -> None:
    """Wait for it; half a minute at most, so that a test fails rather than hangs."""
    deadline = time.monotonic() + 30
    while not condition() and time.monotonic() < deadline:
        time.sleep(0.02)
    assert condition()


def epochs_on_disk(folder: Path, run_id: str) -> list[list[float]]:
    return [[row["schedule/epoch"] for row in rows(attempt)] for attempt in inspect(folder, run_id)]


def one_warning(capfd: pytest.CaptureFixture[str]) -> str:
    output, errors = capfd.readouterr()
    assert output == ""
    assert errors.count("\n") == errors.count("warning: W&B: ") == 1
    assert KEY not in errors
    return errors


def test_rows_arrive_in_order_and_once(
    stub: Stub, folder: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    run = run_of("plain-8", seed=1)
    run_id = new_run_id(run)
    tracker = start(run, folder, run_id, mode="online")
    log(tracker, run, folder, range(1, 8))
    tracker.finish(summary())

    there = stub.runs[run_id]
    assert there.rows == [metrics_of(record(epoch)) for epoch in range(1, 8)]
    assert there.mistakes == []
    assert (there.exit_code, there.summary["status"]) == (0, "finished")
    upsert = there.upserts[0]
    assert (upsert["project"], upsert["groupName"]) == ("resnet_bench", "plain-8")
    assert (there.config["depth"], there.config["seed"]) == (8, 1)
    assert [attempt.mark.exists() for attempt in find_attempts(folder / "wandb")] == [True]
    assert capfd.readouterr() == ("", "")


def test_the_key_is_written_nowhere(stub: Stub, folder: Path, tmp_path: Path) -> None:
    run = run_of("plain-8")
    tracker = start(run, folder, "an-id", mode="online")
    log(tracker, run, folder, [1])
    tracker.finish(summary())
    stub.trouble = "refuse"
    start(run, folder, "another-id", mode="online").finish(summary())
    files = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert len(files) > 5
    assert [path for path in files if KEY.encode() in path.read_bytes()] == []


@pytest.mark.parametrize("trouble", TROUBLES)
def test_a_server_that_fails_from_the_start_turns_the_runs_offline(
    trouble: str, stub: Stub, folder: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    begin(stub, trouble)
    for seed in range(2):
        run = run_of("plain-8", seed)
        tracker = start(run, folder, f"id-{seed}", mode="online")
        log(tracker, run, folder, [1, 2])
        tracker.finish(summary())
    assert "offline" in one_warning(capfd)
    assert [attempt.path.name[:12] for attempt in find_attempts(folder / "wandb")] == [
        "offline-run-",
        "offline-run-",
    ]
    assert epochs_on_disk(folder, "id-0") == [[1, 2]]


@pytest.mark.parametrize("trouble", TROUBLES)
def test_a_server_that_fails_in_the_middle_costs_one_warning(
    trouble: str, stub: Stub, folder: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    runs = [run_of("plain-8"), run_of("resnet-8-A")]
    trackers = [start(run, folder, run.experiment.network_name, mode="online") for run in runs]
    for tracker, run in zip(trackers, runs, strict=True):
        log(tracker, run, folder, [1, 2])
    until(lambda: len(stub.runs) == 2)
    begin(stub, trouble)
    for tracker, run in zip(trackers, runs, strict=True):
        log(tracker, run, folder, [3, 4, 5])
    for tracker in trackers:
        tracker.finish(summary())
    later = run_of("resnet-8-B")
    tracker = start(later, folder, "later", mode="online")
    log(tracker, later, folder, [1])
    tracker.finish(summary())

    one_warning(capfd)
    wandb.teardown()  # as at the end of the process
    for run in runs:
        rows = RunDirectory(run.directory(folder.parent)).rows()
        assert [row.epoch for row in rows] == [1, 2, 3, 4, 5]
        assert epochs_on_disk(folder, run.experiment.network_name) == [[1, 2, 3, 4, 5]]
    assert epochs_on_disk(folder, "later") == [[1]]  # offline: nobody asks that server again
    assert not any(attempt.mark.exists() for attempt in find_attempts(folder / "wandb"))


KILLED = """
import sys, time
from pathlib import Path
from tests.support.wandb_runs import log, run_of, start
run, folder = run_of("plain-8"), Path(sys.argv[1])
tracker = start(run, folder, "the-id", mode=sys.argv[2])
for epoch in (1, 2, 3):
    log(tracker, run, folder, [epoch])
time.sleep(60)
"""


@pytest.mark.parametrize("mode", ["online", "offline"])
def test_a_killed_and_resumed_run_is_one_run_with_each_epoch_once(
    mode: str, stub: Stub, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    monkeypatch.setenv("WANDB__FILE_STREAM_TRANSMIT_INTERVAL", "1")
    with subprocess.Popen([sys.executable, "-c", KILLED, str(folder), mode]) as process:
        if mode == "online":
            until(lambda: "the-id" in stub.runs and stub.runs["the-id"].epochs)
        else:
            until(lambda: any(a.log.stat().st_size for a in find_attempts(folder / "wandb")))
        process.kill()  # what W&B has is any part of three rows

    run = run_of("plain-8")
    tracker = start(run, folder, "the-id", mode=mode, resumed=True)
    log(tracker, run, folder, [4, 5])
    tracker.log(record(5))  # again: not mirrored
    tracker.finish(summary())

    if mode == "online":
        assert list(stub.runs) == ["the-id"]
        assert stub.runs["the-id"].epochs == [1, 2, 3, 4, 5]
        assert stub.runs["the-id"].mistakes == []
        assert all(attempt.mark.exists() for attempt in find_attempts(folder / "wandb"))
    else:
        assert list(chain(*epochs_on_disk(folder, "the-id"))) == [1, 2, 3, 4, 5]


def test_a_run_that_went_offline_is_whole_again_once_it_is_resumed_online(
    stub: Stub, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = run_of("plain-8")
    tracker = start(run, folder, "the-id", mode="offline")
    log(tracker, run, folder, [1, 2])
    tracker.finish(None)
    tracker = start(run, folder, "the-id", mode="online", resumed=True)
    log(tracker, run, folder, [3])
    tracker.finish(None)
    tracker = start(run, folder, "the-id", mode="online", resumed=True)
    log(tracker, run, folder, [4])
    tracker.finish(summary())
    assert stub.runs["the-id"].epochs == [1, 2, 3, 4]
    assert stub.runs["the-id"].mistakes == []
    assert all(attempt.mark.exists() for attempt in find_attempts(folder / "wandb"))


def test_twelve_runs_alive_in_one_process_keep_their_rows_apart(stub: Stub, folder: Path) -> None:
    names = ["plain-8", "resnet-8-A", "resnet-8-B"]
    runs = [run_of(name, seed) for name in names for seed in range(4)]
    ids = [new_run_id(run) for run in runs]
    trackers = [
        start(run, folder, run_id, mode="online") for run, run_id in zip(runs, ids, strict=True)
    ]
    for epoch in (1, 2, 3):
        for number, tracker in enumerate(trackers):
            tracker.log(record(epoch, test_error=number / 100))
    for tracker in trackers:
        tracker.finish(summary())
    assert set(stub.runs) == set(ids)
    for number, run_id in enumerate(ids):
        there = stub.runs[run_id]
        assert [row[METRICS["test_error"]] for row in there.rows] == [number / 100] * 3
        assert there.epochs == [1, 2, 3]
        assert there.config["seed"] == runs[number].seed
        assert there.mistakes == []
