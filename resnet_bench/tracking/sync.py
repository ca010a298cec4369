"""Upload the records of a suite's runs that W&B's server lacks."""

import os
import re
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

from resnet_bench.errors import UserError
from resnet_bench.records.lock import locked
from resnet_bench.records.run_directory import RunDirectory
from resnet_bench.suites.experiment import Run
from resnet_bench.suites.suite import Suite, find_experiment
from resnet_bench.tracking.attempts import Attempt, find_attempts, wandb_folder
from resnet_bench.tracking.environment import has_credentials
from resnet_bench.tracking.metrics import METRICS
from resnet_bench.tracking.tracker import start_tracking
from resnet_bench.tracking.variables import remove_refused, use_home


def sync(suite: Suite, results: Path, yes: bool) -> None:
    """Print what is to be uploaded; with `yes` upload it, the attempts at a run in order.

    An ended run is logged from its CSV if a log of it is torn or lacks its last record: nothing,
    for example, was written on a full disk. Raises UserError without runs, without an account, or
    if an upload fails.
    """
    if find_spec("wandb") is None:
        raise UserError("wandb is not installed")
    folder = wandb_folder(results / suite.name)
    attempts = find_attempts(folder)
    missing = [attempt for attempt in attempts if not attempt.mark.exists()]
    training = _ids_in_training(results / suite.name)
    torn = [one for one in missing if one.run_id not in training and not one.contents()[1]]
    from_csv = _to_log_from_csv(results / suite.name, attempts, torn)
    if not attempts and not from_csv:
        raise UserError(f"no W&B runs in {folder}; `make sweep SUITE={suite.name}` makes some")
    apart = {*training, *from_csv, *(attempt.run_id for attempt in torn)}
    ready = [attempt for attempt in missing if attempt.run_id not in apart]
    print(
        f"{suite.name}: {_count(ready)} to upload, {len(attempts) - len(missing)} already there, "
        f"{len([one for one in missing if one.run_id in training])} still in training, "
        f"{len(from_csv)} to log from the CSV",
        flush=True,
    )
    for attempt in torn:
        print(f"{attempt.log}: torn")
    if (ready or from_csv) and not yes:
        print("Nothing was uploaded; --yes uploads it (with make: YES=1).")
        return
    if ready or from_csv:
        _upload(ready, from_csv, results / suite.name)
    if left := [attempt.log for attempt in torn if attempt.run_id not in from_csv]:
        raise UserError(
            f"torn, of no run that has ended: {', '.join(map(str, left))};"
            " let the run end, or delete the log's folder"
        )


def _upload(ready: list[Attempt], from_csv: dict[str, Run], folder: Path) -> None:
    if sentences := remove_refused():
        raise UserError("; ".join(sentences))
    if not has_credentials():
        raise UserError("no W&B account: set WANDB_API_KEY, or log in with `wandb login`")
    use_home(wandb_folder(folder))
    refused, answered = _wandb_sync(ready) if ready else (set(), True)
    left = []
    for attempt in ready:
        if attempt.run_id in refused or attempt.mark.exists():
            continue
        if attempt.ends_twice:
            attempt.mark.touch()
        else:
            left.append(attempt)
    if left and not answered:
        refused |= _wandb_sync(left)[0]
    for attempt in ready:
        if attempt.run_id in refused:
            attempt.mark.unlink(missing_ok=True)  # made although the server refused its rows
    failed = [attempt for attempt in ready if not attempt.mark.exists()]
    for run_id, run in from_csv.items():
        if failed:
            break  # the server does not answer: no need to ask again
        _log_from_csv(run, run_id, folder)
        logs = find_attempts(wandb_folder(folder), run_id)
        failed = [attempt for attempt in logs if not attempt.mark.exists()]
    if failed:
        raise UserError(f"W&B did not take {_count(failed)}; try again later")


def _to_log_from_csv(folder: Path, attempts: list[Attempt], torn: list[Attempt]) -> dict[str, Run]:
    """The ended runs with a torn log, or whose last record is in no log, by their W&B ids."""
    found = {}
    torn_ids = {attempt.run_id for attempt in torn}
    for path in sorted(folder.glob("*/seed-*/summary.json")):
        directory = RunDirectory(path.parent)
        try:
            directory.summary()  # a damaged run is not sent
            description, rows = directory.description() or {}, directory.rows()
            identity = description.get("identity", {})
            run = Run(find_experiment(identity.get("experiment", "")), identity.get("seed", 0))
        except UserError as error:
            print(f"left out: {error}")
            continue
        run_id = description.get("wandb_id", "")
        logs = [one.contents()[0] for one in attempts if one.run_id == run_id]
        last = max((log.get(METRICS["iteration"], 0) for log in logs), default=-1)
        if run_id in torn_ids or last < (rows[-1].iteration if rows else 0):
            found[run_id] = run
    return found


def _log_from_csv(run: Run, run_id: str, folder: Path) -> None:
    """Log the records of an ended run that W&B's server lacks."""
    directory = RunDirectory(run.directory(folder.parent))
    identity = (directory.description() or {})["identity"]
    tracker = start_tracking(
        run, identity, run_id=run_id, folder=folder, mode="online", resumed=True
    )
    tracker.finish(directory.summary())


def _ids_in_training(folder: Path) -> set[str]:
    """The W&B ids of the runs that a process is training, and so holds the lock of."""
    ids = set()
    for lock in folder.glob("*/seed-*/.lock"):
        directory = RunDirectory(lock.parent)
        if not os.access(lock, os.W_OK):
            continue  # of a folder that this user cannot write, such as a colleague's
        try:
            with locked(directory):
                pass
        except UserError:
            ids.add((directory.description() or {}).get("wandb_id", ""))
    return ids


def _wandb_sync(attempts: list[Attempt]) -> tuple[set[str], bool]:
    """Run `wandb sync` and print its output.

    Returns the ids of the runs that were refused, and whether it did not lose the answer of its own
    server process, as it does now and then: once more is then enough.
    """
    command = [sys.executable, "-m", "wandb", "sync", "--yes", "--include-online", "--verbose"]
    for variable, flag in (("WANDB_PROJECT", "--project"), ("WANDB_ENTITY", "--entity")):
        if value := os.environ.get(variable):
            command += [flag, value]
    command += [str(attempt.path) for attempt in attempts]
    # Online whatever WANDB_MODE says: that is for new runs.
    environment = {"WANDB_ERROR_REPORTING": "false"} | os.environ
    environment |= {"WANDB_MODE": "online", "WANDB_SILENT": "false"}
    refused, answered = set(), True
    with subprocess.Popen(command, env=environment, stderr=subprocess.PIPE, text=True) as process:
        for line in process.stderr or ():
            print(line, end="", file=sys.stderr, flush=True)
            answered = answered and "ERROR No response." not in line
            if match := re.search(r"/([^/\]]+)\] .*error while uploading", line):
                refused.add(match.group(1))
    return refused, answered


def _count(attempts: list[Attempt]) -> str:
    runs = len({attempt.run_id for attempt in attempts})
    return f"{len(attempts)} attempt{'s' * (len(attempts) != 1)} at {runs} run{'s' * (runs != 1)}"
