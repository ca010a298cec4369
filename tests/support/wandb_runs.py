"""Runs to track, and what W&B has of them: for the tests of the mirror."""

import json
import os
import subprocess
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import pytest
from wandb.util import get_core_path

from resnet_bench.records.epochs import COLUMNS, EpochRecord
from resnet_bench.records.layers import LayerRecord
from resnet_bench.records.run_directory import RunDirectory, Summary
from resnet_bench.suites.experiment import Run
from resnet_bench.suites.suite import find_experiment
from resnet_bench.tracking import thread
from resnet_bench.tracking.attempts import find_attempts
from resnet_bench.tracking.tracker import Tracker, start_tracking


@pytest.fixture
def wandb_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A home without a login, W&B's defaults, and no process of W&B's left at the end."""
    for name in list(os.environ):
        if name.startswith("WANDB_") or name == "NETRC":
            monkeypatch.delenv(name)
    (tmp_path / "home").mkdir()
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setenv("WANDB_DATA_DIR", str(tmp_path / "home"))
    monkeypatch.setenv("WANDB_SILENT", "true")
    monkeypatch.setenv("WANDB_ERROR_REPORTING", "false")
    monkeypatch.setattr(thread, "_threads", {})
    monkeypatch.chdir(tmp_path)
    yield
    if "wandb" in sys.modules:
        sys.modules["wandb"].teardown()


def run_of(name: str, seed: int = 0) -> Run:
    return Run(find_experiment(f"smoke/{name}"), seed)


def record(epoch: int, **values: Any) -> EpochRecord:
    numbers: dict[str, Any] = {
        name: (epoch + index / 100) / 100 for index, name in enumerate(COLUMNS)
    }
    return EpochRecord(**numbers | {"epoch": epoch, "iteration": 10 * epoch} | values)


def layers(iteration: int, *norms: float) -> list[LayerRecord]:
    """An iteration of layers.csv: the input, a convolution for each norm, the linear layer."""
    kinds = ["input", *["conv3x3"] * len(norms), "linear"]
    return [
        LayerRecord(
            iteration=iteration,
            layer=layer,
            name=kind,
            kind=kind,
            response_deviation=layer + 0.5,
            activation_deviation=1.0,
            activation_gradient_norm=norm,
            gradient_correlation=0.25 + layer,
            update_ratio=None if kind == "input" else layer / 100,
        )
        for layer, (kind, norm) in enumerate(zip(kinds, [1.0, *norms, 1.0], strict=True))
    ]


def start(run: Run, folder: Path, run_id: str, **changes: Any) -> Tracker:
    identity = run.identity() | {"digests": {"batch_stream": "ab"}}
    options: dict[str, Any] = {"mode": "offline", "resumed": False} | changes
    return start_tracking(run, identity, run_id=run_id, folder=folder, **options)


def summary(status: Any = "finished") -> Summary:
    return Summary(status, 20, {}, 12.5)


def log(tracker: Tracker, run: Run, folder: Path, epochs: Iterable[int]) -> None:
    """What the runner does at each epoch: the row in the CSV, then the mirror."""
    directory = RunDirectory(run.directory(folder.parent))
    directory.path.mkdir(parents=True, exist_ok=True)
    for epoch in epochs:
        directory.append(record(epoch))
        tracker.log(record(epoch))


def inspect(folder: Path, run_id: str) -> list[list[dict[str, Any]]]:
    """The records of each attempt at a run, oldest first.

    This is `wandb leet inspect --json`, without the second that its Python part takes to start.
    """
    command = [get_core_path(), "leet", "inspect", "--no-observability", "--json", "--run-file"]
    attempts = []
    for attempt in find_attempts(folder / "wandb", run_id):
        full = [*command, str(attempt.log), str(attempt.path.parent)]
        output = subprocess.run(full, check=True, capture_output=True, text=True).stdout
        attempts.append([json.loads(line) for line in output.splitlines()])
    return attempts


def of_type(attempt: list[dict[str, Any]], kind: str) -> list[dict[str, Any]]:
    return [entry[kind] for entry in attempt if entry["type"] == kind]


def rows(attempt: list[dict[str, Any]]) -> list[dict[str, float]]:
    items = [entry["item"] for entry in of_type(attempt, "history")]
    return [{k: v for k, v in item.items() if not k.startswith("_")} for item in items]


def ending(attempt: list[dict[str, Any]]) -> tuple[int, str | None]:
    """The exit code and the status in W&B's summary."""
    status = None
    for entry in of_type(attempt, "summary"):
        status = entry.get("update", {}).get("status", status)
    [end] = of_type(attempt, "exit")
    return end.get("exit_code", 0), status
