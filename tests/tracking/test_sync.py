"""Uploading what was logged offline: once, in order, and not what is still in training."""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import wandb

from resnet_bench.errors import UserError
from resnet_bench.records.lock import locked
from resnet_bench.records.run_directory import RunDirectory
from resnet_bench.suites.suite import load_suite
from resnet_bench.tracking import sync as sync_module
from resnet_bench.tracking.attempts import Attempt, find_attempts
from resnet_bench.tracking.sync import sync
from tests.support.results import seal
from tests.support.wandb_runs import log, record, run_of, start, summary
from tests.support.wandb_runs import wandb_environment as wandb_environment  # a fixture
from tests.support.wandb_stub import KEY, Stub

pytestmark = pytest.mark.usefixtures("wandb_environment")
SUITE = load_suite("smoke")


@pytest.fixture
def stub(monkeypatch: pytest.MonkeyPatch) -> Iterator[Stub]:
    with Stub() as stub:
        monkeypatch.setenv("WANDB_BASE_URL", stub.url)
        yield stub


@pytest.fixture
def results(tmp_path: Path) -> Path:
    """Two runs, logged offline; the first in two attempts."""
    for seed, attempts in ((0, [[1, 2], [3]]), (1, [[1]])):
        run, folder = run_of("plain-8", seed), tmp_path / "results" / "smoke"
        for number, epochs in enumerate(attempts):
            tracker = start(run, folder, f"id-{seed}", resumed=number > 0)
            log(tracker, run, folder, epochs)
            tracker.finish(summary() if number == len(attempts) - 1 else None)
    return tmp_path / "results"


def end(results: Path, run_id: str) -> RunDirectory:
    """Make the run of seed 1 an ended one, with its own files."""
    run = run_of("plain-8", 1)
    directory = RunDirectory(run.directory(results))
    directory.write_description({"identity": run.identity() | {"seed": 1}, "wandb_id": run_id})
    directory.write_summary(summary())
    return directory


def test_what_was_logged_offline_is_uploaded_once_and_in_order(
    stub: Stub, results: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    sync(SUITE, results, yes=False)
    assert "3 attempts at 2 runs to upload, 0 already there" in capfd.readouterr().out
    with pytest.raises(UserError, match="WANDB_API_KEY"):
        sync(SUITE, results, yes=True)
    assert stub.runs == {}

    monkeypatch.setenv("WANDB_API_KEY", KEY)
    run = run_of("plain-8", 1)
    directory = RunDirectory(run.directory(results))
    directory.write_description({"wandb_id": "id-1"})
    with locked(directory):
        sync(SUITE, results, yes=True)
    assert {run_id: there.epochs for run_id, there in stub.runs.items()} == {"id-0": [1, 2, 3]}
    assert (stub.runs["id-0"].mistakes, stub.runs["id-0"].exit_code) == ([], 0)
    sync(SUITE, results, yes=True)
    assert stub.runs["id-1"].epochs == [1]
    capfd.readouterr()
    sync(SUITE, results, yes=True)
    assert "0 attempts at 0 runs to upload, 3 already there" in capfd.readouterr().out
    assert stub.runs["id-0"].epochs == [1, 2, 3]


def test_what_a_server_refused_is_uploaded_later(
    stub: Stub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WANDB_API_KEY", KEY)
    monkeypatch.setenv("WANDB_FINISH_TIMEOUT", "1")
    run, folder = run_of("plain-8"), tmp_path / "results" / "smoke"
    stub.trouble, stub.only = "refuse", "file_stream"
    tracker = start(run, folder, "the-id", mode="online")
    log(tracker, run, folder, [1, 2, 3])
    tracker.finish(summary())
    wandb.teardown()  # as at the end of the process
    with pytest.raises(UserError, match="did not take 1 attempt at 1 run"):
        sync(SUITE, tmp_path / "results", yes=True)
    assert stub.runs["the-id"].epochs == []
    stub.trouble = "none"
    monkeypatch.delenv("WANDB_FINISH_TIMEOUT")  # which ended the wait for the server, above
    sync(SUITE, tmp_path / "results", yes=True)
    assert stub.runs["the-id"].epochs == [1, 2, 3]


def test_a_log_that_ends_twice_is_sent_once_and_marked(
    results: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WANDB_API_KEY", KEY)
    attempts = find_attempts(results / "smoke" / "wandb")
    assert not any(attempt.ends_twice for attempt in attempts)
    records = Attempt._records

    def ended_again(attempt: Attempt) -> tuple[list[dict[str, Any]], bool]:
        found, whole = records(attempt)
        return [*found, {"type": "exit"}], whole

    sent: list[list[Attempt]] = []

    def no_answer(given: list[Attempt]) -> tuple[set[str], bool]:
        sent.append(given)
        return set(), False

    monkeypatch.setattr(Attempt, "_records", ended_again)
    monkeypatch.setattr(sync_module, "_wandb_sync", no_answer)
    sync(SUITE, results, yes=True)
    assert sent == [attempts]
    assert all(attempt.mark.exists() for attempt in attempts)


@pytest.mark.parametrize("size", [0, 5, 1000, -5, None])
def test_a_run_whose_log_is_torn_or_lacks_records_is_logged_from_its_csv(
    size: int | None,
    stub: Stub,
    results: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("WANDB_API_KEY", KEY)
    [attempt] = find_attempts(results / "smoke" / "wandb", "id-1")
    directory = end(results, "id-1")
    if size is None:  # a row that never reached the log
        directory.append(record(2))
        seal(directory.path)
    else:
        os.truncate(attempt.log, size if size >= 0 else attempt.log.stat().st_size + size)
    sync(SUITE, results, yes=False)
    assert "2 attempts at 1 run to upload" in (told := capfd.readouterr().out)
    assert "1 to log from the CSV" in told
    assert (f"{attempt.log}: torn" in told) == (size is not None)
    sync(SUITE, results, yes=True)
    assert {run_id: there.epochs for run_id, there in stub.runs.items()} == {
        "id-0": [1, 2, 3],
        "id-1": [1] if size is not None else [1, 2],
    }
    sync(SUITE, results, yes=True)
    assert "0 attempts at 0 runs to upload" in (told := capfd.readouterr().out)
    assert "0 to log from the CSV" in told
    assert stub.runs["id-1"].mistakes == []


def test_a_torn_log_of_a_run_that_has_not_ended_is_named_after_the_others_are_uploaded(
    stub: Stub, results: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WANDB_API_KEY", KEY)
    [attempt] = find_attempts(results / "smoke" / "wandb", "id-1")
    os.truncate(attempt.log, 0)
    with pytest.raises(UserError, match=f"torn.*{attempt.log}"):
        sync(SUITE, results, yes=True)
    assert {run_id: there.epochs for run_id, there in stub.runs.items()} == {"id-0": [1, 2, 3]}


def test_a_mistaken_variable_is_named_before_anything_is_sent(
    results: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WANDB_API_KEY", KEY)
    monkeypatch.setenv("WANDB_BASE_URL", "wandb.example.org")
    with pytest.raises(UserError, match=r"WANDB_BASE_URL.*wandb\.example\.org"):
        sync(SUITE, results, yes=True)


def test_no_runs_is_the_users_mistake(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no W&B runs in"):
        sync(SUITE, tmp_path, yes=False)
