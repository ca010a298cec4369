"""Upload the records of a suite's runs that W&B's server lacks."""

import os
import re
import subprocess
import sys
from pathlib import Path

from resnet_bench.errors import UserError
from resnet_bench.records.lock import locked
from resnet_bench.records.run_directory import RunDirectory
from resnet_bench.suites.suite import Suite
from resnet_bench.tracking.attempts import Attempt, find_attempts, wandb_folder
from resnet_bench.tracking.environment import has_credentials


def sync(suite: Suite, results: Path, yes: bool) -> None:
    """Print the number of attempts to upload; with `yes` upload them, those at a run in order.

    Raises UserError without runs, without an account, or if an upload fails.
    """
    folder = wandb_folder(results / suite.name)
    attempts = find_attempts(folder)
    if not attempts:
        raise UserError(f"no W&B runs in {folder}; `make sweep SUITE={suite.name}` makes some")
    missing = [attempt for attempt in attempts if not attempt.mark.exists()]
    training = _ids_in_training(results / suite.name)
    ready = [attempt for attempt in missing if attempt.run_id not in training]
    print(
        f"{suite.name}: {_count(ready)} to upload, {len(attempts) - len(missing)} already there, "
        f"{len(missing) - len(ready)} still in training",
        flush=True,
    )
    if not ready:
        return
    if yes and not has_credentials():
        raise UserError("no W&B account: set WANDB_API_KEY, or log in with `wandb login`")
    refused = _wandb_sync(ready, "--yes" if yes else "--dry-run")
    if not yes:
        print("Nothing was uploaded; --yes uploads it (with make: YES=1).")
        return
    for attempt in ready:
        if attempt.run_id in refused:
            attempt.mark.unlink(missing_ok=True)  # made although the server refused its rows
    if failed := [attempt for attempt in ready if not attempt.mark.exists()]:
        raise UserError(f"W&B did not take {_count(failed)}; try again later")


def _ids_in_training(folder: Path) -> set[str]:
    """The W&B ids of the runs that a process is training, and so holds the lock of."""
    ids = set()
    for lock in folder.glob("*/seed-*/.lock"):
        directory = RunDirectory(lock.parent)
        try:
            with locked(directory):
                pass
        except PermissionError:
            continue  # a folder that this user cannot write, such as a colleague's
        except UserError:
            ids.add((directory.description() or {}).get("wandb_id", ""))
    return ids


def _wandb_sync(attempts: list[Attempt], option: str) -> set[str]:
    """Run `wandb sync` and print its output; returns the ids of the runs that were refused."""
    command = [sys.executable, "-m", "wandb", "sync", option, "--include-online", "--verbose"]
    for variable, flag in (("WANDB_PROJECT", "--project"), ("WANDB_ENTITY", "--entity")):
        if value := os.environ.get(variable):
            command += [flag, value]
    command += [str(attempt.path) for attempt in attempts]
    # Online whatever WANDB_MODE says: that is for new runs.
    environment = {"WANDB_ERROR_REPORTING": "false"} | os.environ
    environment |= {"WANDB_MODE": "online", "WANDB_SILENT": "false"}
    refused = set()
    with subprocess.Popen(command, env=environment, stderr=subprocess.PIPE, text=True) as process:
        for line in process.stderr or ():
            print(line, end="", file=sys.stderr, flush=True)
            if match := re.search(r"/([^/\]]+)\] .*error while uploading", line):
                refused.add(match.group(1))
    return refused


def _count(attempts: list[Attempt]) -> str:
    runs = len({attempt.run_id for attempt in attempts})
    return f"{len(attempts)} attempt{'s' * (len(attempts) != 1)} at {runs} run{'s' * (runs != 1)}"
