"""W&B's variables as clusters, agents and containers leave them: none joins runs or loses one."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
import wandb
from wandb import util

from resnet_bench.tracking.environment import prepare_environment
from resnet_bench.tracking.variables import clean
from tests.support.wandb_runs import inspect, record, rows, run_of, start, summary
from tests.support.wandb_runs import wandb_environment as wandb_environment  # a fixture
from tests.support.wandb_stub import KEY, Stub

pytestmark = pytest.mark.usefixtures("wandb_environment")


@pytest.fixture
def stub(monkeypatch: pytest.MonkeyPatch) -> Iterator[Stub]:
    with Stub() as stub:
        monkeypatch.setenv("WANDB_BASE_URL", stub.url)
        monkeypatch.setenv("WANDB_API_KEY", KEY)
        yield stub


def train(folder: Path, run_id: str, mode: str = "offline") -> None:
    tracker = start(run_of("plain-8"), folder, run_id, mode=mode)
    tracker.log(record(1))
    tracker.finish(summary())


AGENTS = [
    {"WANDB_SWEEP_ID": "abc", "WANDB_RUN_ID": "agentrun"},
    {"WANDB_SWEEP_ID": "abc"},
    {"WANDB_LAUNCH": "true", "WANDB_RUN_ID": "agentrun", "WANDB_RESUME": "must"},
    {"SM_TRAINING_ENV": "{}", "TRAINING_JOB_NAME": "job"},
]


@pytest.mark.parametrize("variables", AGENTS, ids=lambda found: "+".join(found))
def test_within_an_agent_or_a_job_each_network_is_a_run_of_its_own(
    variables: dict[str, str],
    stub: Stub,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    prepare_environment()
    ours = [name for name in variables if name.startswith("WANDB_")]
    assert all(name in capfd.readouterr().err for name in ours[:1])
    for run_id in ("one", "two"):
        train(tmp_path / "smoke", run_id, "online")
    assert {run_id: run.epochs for run_id, run in stub.runs.items()} == {"one": [1], "two": [1]}


def test_another_id_than_the_one_that_was_asked_for_is_refused(
    stub: Stub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("WANDB_SWEEP_ID", "abc")
    monkeypatch.setenv("WANDB_RUN_ID", "agentrun")
    train(tmp_path / "smoke", "an-id", "online")
    assert "W&B began the run agentrun in place of an-id" in capfd.readouterr().err
    assert [run.epochs for run in stub.runs.values()] == [[]]


def test_white_space_is_removed_and_an_empty_value_is_none(
    stub: Stub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("WANDB_API_KEY", f"{KEY}\n")  # of a file, in a container
    monkeypatch.setenv("WANDB_TAGS", "")
    assert clean() == []
    train(tmp_path / "smoke", "an-id", "online")
    assert stub.runs["an-id"].epochs == [1]
    assert capfd.readouterr().err == ""


BAD = {
    "WANDB_BASE_URL": "wandb.example.org",
    "WANDB_SILENT": "maybe",
    "WANDB_RESUME": "yes",
    "WANDB_INIT_TIMEOUT": "abc",
    "WANDB_PROJECT": "a/b",
}


@pytest.mark.parametrize("name", BAD)
def test_a_value_that_wandb_refuses_is_named_and_the_run_is_logged_offline(
    name: str,
    stub: Stub,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv(name, BAD[name])
    train(tmp_path / "smoke", "an-id", "online")
    [line] = capfd.readouterr().err.splitlines()
    assert name in line
    assert BAD[name] in line
    assert "logged offline" in line
    [attempt] = inspect(tmp_path / "smoke", "an-id")
    assert [row["schedule/epoch"] for row in rows(attempt)] == [1]
    assert stub.runs == {}


def test_a_key_that_cannot_be_one_is_not_shown(
    stub: Stub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("WANDB_API_KEY", f"{KEY}\n{KEY}")
    train(tmp_path / "smoke", "an-id", "online")
    [line] = capfd.readouterr().err.splitlines()
    assert "WANDB_API_KEY" in line
    assert "logged offline" in line
    assert KEY not in line
    assert len(inspect(tmp_path / "smoke", "an-id")) == 1


def test_without_wandb_core_nothing_is_promised_but_a_later_sync(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    core = tmp_path / "wandb-core"  # as on a noexec mount
    core.touch(mode=0o600)
    monkeypatch.setattr(util, "get_core_path", lambda: str(core))
    train(tmp_path / "smoke", "an-id")
    [line] = capfd.readouterr().err.splitlines()
    assert f"{core} cannot be executed" in line
    assert "`make sync` adds" in line
    assert "offline" not in line


def test_a_log_that_was_not_written_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    def finish_on_a_full_disk(run: wandb.Run, exit_code: int) -> None:
        finish(run, exit_code)
        [log] = (tmp_path / "smoke").rglob("run-an-id.wandb")
        os.truncate(log, 0)

    finish = wandb.Run.finish
    monkeypatch.setattr(wandb.Run, "finish", finish_on_a_full_disk)
    train(tmp_path / "smoke", "an-id")
    [line] = capfd.readouterr().err.splitlines()
    assert "run-an-id.wandb: lacks records, which `make sync` adds" in line
