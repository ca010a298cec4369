"""Log a run's records, which its CSVs hold, to W&B as well.

Training never waits for W&B: a separate thread (thread.py) does all calls to it, and imports
wandb, so that a process without tracking does not.
"""

import os
import re
import secrets
from pathlib import Path
from typing import Any

from resnet_bench.records.epochs import EpochRecord
from resnet_bench.records.layers import LayerRecord, LayersFile, by_iteration
from resnet_bench.records.run_directory import RunDirectory, Summary
from resnet_bench.suites.experiment import Run
from resnet_bench.tracking.attempts import find_attempts, wandb_folder
from resnet_bench.tracking.environment import PROJECT, Mode
from resnet_bench.tracking.metrics import (
    LAYER_METRICS,
    LAYERS_ITERATION,
    METRICS,
    layer_metrics_of,
    metrics_of,
)
from resnet_bench.tracking.run_config import config_of, short_name, tags_of
from resnet_bench.tracking.thread import WandbThread

STOPPED_EXIT_CODE = 75  # of a run that will be resumed


class Tracker:
    """Logs one run. This class does nothing: mode `disabled`."""

    def log(self, record: EpochRecord) -> None:
        """Log a record that is already in epochs.csv: each once, in order."""

    def log_layers(self, rows: list[LayerRecord]) -> None:
        """Log an iteration that is already in layers.csv: each once, in order."""

    def finish(self, summary: Summary | None) -> None:
        """End the run; without a summary it was stopped and will be resumed under the same id."""


class WandbTracker(Tracker):
    """Logs one run to W&B. No method raises; only `finish` waits."""

    def __init__(
        self,
        thread: WandbThread,
        arguments: dict[str, Any],  # of wandb.init
        online: bool,
        folder: Path,
        earlier: list[EpochRecord],
        earlier_layers: list[list[LayerRecord]],
    ) -> None:
        self._thread = thread  # only calls sent to it use the attributes below
        self._run: Any = None
        self._iteration = 0  # of the last record that W&B has
        self._layers_iteration = -1  # of the last layers that W&B has
        self._layers_defined = False
        thread.send(lambda: self._open(arguments, online, folder, earlier, earlier_layers))

    def log(self, record: EpochRecord) -> None:
        self._thread.send(lambda: self._log(record))

    def log_layers(self, rows: list[LayerRecord]) -> None:
        self._thread.send(lambda: self._log_layers(rows))

    def finish(self, summary: Summary | None) -> None:
        self._thread.wait_for(self._thread.send(lambda: self._finish(summary)))

    def _open(
        self,
        arguments: dict[str, Any],
        online: bool,
        folder: Path,
        earlier: list[EpochRecord],
        earlier_layers: list[list[LayerRecord]],
    ) -> None:
        resumed = earlier or earlier_layers
        before = find_attempts(folder, arguments["id"]) if resumed else []
        run = self._thread.open_run(arguments, online, folder)
        axis = METRICS["iteration"]  # there may be several records in an epoch
        run.define_metric(axis, hidden=True)
        for name in METRICS.values():
            if name != axis:
                run.define_metric(name, step_metric=axis)
        self._run = run
        # W&B lacks the records that a killed process had not written or sent.
        if resumed:
            there = [attempt.summary() for attempt in before] if run.offline else [run.summary]
            for summary in there:
                self._iteration = max(self._iteration, summary.get("iteration", 0))
                latest = summary.get(LAYERS_ITERATION, -1)
                self._layers_iteration = max(self._layers_iteration, latest)
        for record in earlier:
            self._log(record)
        for rows in earlier_layers:
            self._log_layers(rows)

    def _log(self, record: EpochRecord) -> None:
        if self._run is not None and record.iteration > self._iteration:
            self._iteration = record.iteration
            # Without step=: W&B drops rows whose step goes backwards.
            self._run.log(metrics_of(record))

    def _log_layers(self, rows: list[LayerRecord]) -> None:
        iteration = rows[0].iteration
        if self._run is None or iteration <= self._layers_iteration:
            return
        if not self._layers_defined:
            self._layers_defined = True
            self._run.define_metric(LAYERS_ITERATION, hidden=True)
            for name in LAYER_METRICS:
                self._run.define_metric(name, step_metric=LAYERS_ITERATION)
        self._layers_iteration = iteration
        self._run.log(layer_metrics_of(rows))

    def _finish(self, summary: Summary | None) -> None:
        run, self._run = self._run, None
        if run is None:
            return
        try:
            if summary is None:
                run.mark_preempting()
            else:
                run.summary.update({"status": summary.status, "total_seconds": summary.seconds})
        finally:
            self._thread.close_run(run, exit_code_of(summary))


_threads: dict[int, WandbThread] = {}  # by process id: a forked child has no threads


def start_tracking(
    run: Run, identity: dict[str, Any], *, run_id: str, folder: Path, mode: Mode, resumed: bool
) -> Tracker:
    """A tracker for `run`, which writes W&B's files to `folder`/wandb unless `mode` is disabled.

    `identity` is run.json's; `run_id` is the same in every attempt at the run. If it is resumed,
    the rows of its CSVs that W&B lacks are logged first.
    """
    if mode == "disabled":
        return Tracker()
    directory = RunDirectory(run.directory(folder.parent))
    earlier = directory.rows() if resumed else []
    layers = LayersFile(directory.layers_csv).rows() if resumed else []
    if os.getpid() not in _threads:
        _threads[os.getpid()] = WandbThread()
    arguments = _unless_in_environment(
        WANDB_PROJECT=("project", PROJECT),
        WANDB_DIR=("dir", str(folder)),
        WANDB_NAME=("name", short_name(run)),
        WANDB_RUN_GROUP=("group", run.experiment.network_name),
        WANDB_JOB_TYPE=("job_type", "train"),
        WANDB_TAGS=("tags", tags_of(run)),
    )
    arguments |= {"id": run_id, "config": config_of(run, identity)}
    arguments["resume"] = "allow" if resumed else None
    online = mode == "online"
    return WandbTracker(
        _threads[os.getpid()],
        arguments,
        online,
        wandb_folder(folder),
        earlier,
        list(by_iteration(layers)),
    )


def new_run_id(run: Run) -> str:
    """The run's name and 8 random hex digits, because a run may be trained again."""
    network = re.sub(r"[^A-Za-z0-9._]+", "-", run.experiment.network_name).strip("-")
    return f"{network[:100]}-s{run.seed}-{secrets.token_hex(4)}"


def exit_code_of(summary: Summary | None) -> int:
    if summary is None:
        return STOPPED_EXIT_CODE
    return 0 if summary.status == "finished" else 1


def _unless_in_environment(**defaults: tuple[str, Any]) -> dict[str, Any]:
    """Arguments of wandb.init, without those that W&B reads from an environment variable."""
    return {
        name: value for variable, (name, value) in defaults.items() if not os.environ.get(variable)
    }
