"""What W&B gets only where a variable asks for it: alerts, and a run's files as an artifact."""

import os
import secrets
import shutil
import threading
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from resnet_bench.records import seals
from resnet_bench.records.files import write_json
from resnet_bench.records.run_directory import RunDirectory, Summary
from resnet_bench.tracking.attempts import wandb_folder
from resnet_bench.tracking.environment import PROJECT, Mode, unless_set
from resnet_bench.tracking.thread import thread_of_process

ALERTS = "RESNET_BENCH_ALERTS"
ARTIFACTS = "RESNET_BENCH_ARTIFACTS"
SECONDS = 10.0


def wanted(variable: str) -> bool:
    """Whether the user has set one of the two to 1, say."""
    return os.environ.get(variable, "").strip().lower() not in ("", "0", "no", "false")


def at_the_end(run: Any, directory: RunDirectory, summary: Summary) -> None:
    """Send what is wanted of a W&B run that is about to end.

    Raises what W&B raises, and TimeoutError if its server does not answer.
    """
    if wanted(ALERTS) and summary.status == "diverged":
        run.alert(f"{run.name} diverged", f"at iteration {summary.iteration}", level="WARN")
    if wanted(ARTIFACTS):
        _log_files(run, directory, summary)


def _log_files(run: Any, directory: RunDirectory, summary: Summary) -> None:
    """All but the checkpoint. A run in training writes its own summary.json after W&B's end."""
    import wandb

    artifact = wandb.Artifact(run.id, "run")
    with TemporaryDirectory() as folder:
        for path in (directory.path / name for name in (*seals.SEALED, "summary.json")):
            if path.exists():
                shutil.copy(path, folder)
        if not directory.summary_json.exists():
            sealed = seals.sealed(directory.path, summary.ended())
            write_json(Path(folder) / "summary.json", sealed)
        artifact.add_dir(folder)
    _in_time(lambda: run.log_artifact(artifact))


def _in_time(call: Callable[[], object]) -> None:
    """Wait for a call that asks W&B's server until it answers, but no longer than SECONDS."""
    errors: list[Exception] = []

    def execute() -> None:
        try:
            call()
        except Exception as error:
            errors.append(error)

    thread = threading.Thread(target=execute, daemon=True)
    thread.start()
    thread.join(SECONDS)
    if thread.is_alive():
        raise TimeoutError("no answer about the files of a run")
    if errors:
        raise errors[0]


def alert_of_sweep(suite: str, words: str, *, folder: Path, mode: Mode) -> None:
    """Send an alert, if alerts are wanted, that a sweep of `suite` has ended, how in `words`.

    An alert belongs to a run, and those of the sweep have ended: it has a W&B run of its own.
    """
    if mode != "online" or not wanted(ALERTS):
        return
    title = f"sweep of {suite}"
    arguments = unless_set(
        {
            "WANDB_PROJECT": ("project", PROJECT),
            "WANDB_DIR": ("dir", str(folder)),
            "WANDB_NAME": ("name", title),
            "WANDB_JOB_TYPE": ("job_type", "sweep"),
        }
    )
    arguments["id"] = f"sweep-{suite[:100]}-{secrets.token_hex(4)}"
    thread = thread_of_process()

    def send() -> None:
        run = thread.open_run(arguments, True, wandb_folder(folder))
        run.alert(f"{title} has ended", words)
        thread.close_run(run, 0)

    thread.wait_for(thread.send(send))
