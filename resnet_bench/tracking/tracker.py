"""Log a run's records, which its CSVs hold, to W&B as well.

Training never waits for W&B: a separate thread (thread.py) does all calls to it, and imports
wandb, so that a process without tracking does not.
"""

import os
import re
import secrets
from pathlib import Path
from typing import Any

from resnet_bench.networks.sizes import network_size
from resnet_bench.records.epochs import EpochRecord
from resnet_bench.records.layers import LayersFile, by_iteration
from resnet_bench.records.run_directory import RunDirectory, Summary
from resnet_bench.suites.experiment import Run
from resnet_bench.tracking import extras
from resnet_bench.tracking.attempts import find_attempts, wandb_folder
from resnet_bench.tracking.environment import JOB, PROJECT, Mode, unless_set
from resnet_bench.tracking.metrics import AXES, LAYERS_ITERATION, METRICS, Rows, metrics_of
from resnet_bench.tracking.thread import ADD, WandbThread, thread_of_process

STOPPED_EXIT_CODE = 75  # of a run that will be resumed


class Tracker:
    """Logs one run. This class does nothing: mode `disabled`."""

    def log(self, rows: Rows) -> None:
        """Log a record, or an iteration's layers, that its CSV already has: each once, in order."""

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
        directory: RunDirectory,
        earlier: list[Rows],
    ) -> None:
        self._directory = directory
        self._thread = thread  # only calls sent to it use the attributes below
        self._run: Any = None
        self._latest = dict.fromkeys(AXES, -1)  # the last iteration that W&B has on each axis
        self._defined: set[str] = set()  # of the axes
        thread.send(lambda: self._open(arguments, online, folder, earlier))

    def log(self, rows: Rows) -> None:
        self._thread.send(lambda: self._log(rows))

    def finish(self, summary: Summary | None) -> None:
        self._thread.wait_for(self._thread.send(lambda: self._finish(summary)))

    def _open(
        self, arguments: dict[str, Any], online: bool, folder: Path, earlier: list[Rows]
    ) -> None:
        before = find_attempts(folder, arguments["id"]) if earlier else []
        self._run = run = self._thread.open_run(arguments, online, folder)
        if earlier:  # W&B lacks the records that a killed process had not written or sent
            there = [attempt.contents()[0] for attempt in before] if run.offline else [run.summary]
            for axis in AXES:
                self._latest[axis] = max((each.get(axis, -1) for each in there), default=-1)
        for rows in earlier:
            self._log(rows)

    def _log(self, rows: Rows) -> None:
        metrics = metrics_of(rows)
        axis = METRICS["iteration"] if isinstance(rows, EpochRecord) else LAYERS_ITERATION
        if self._run is None or metrics[axis] <= self._latest[axis]:
            return
        if axis not in self._defined:
            self._defined.add(axis)
            self._run.define_metric(axis, hidden=True)
            for name in AXES[axis]:
                if name != axis:
                    self._run.define_metric(name, step_metric=axis)
        self._latest[axis] = int(metrics[axis])
        self._run.log(metrics)  # without step=: W&B drops rows whose step goes backwards

    def _finish(self, summary: Summary | None) -> None:
        run, self._run = self._run, None
        if run is None:
            return
        exit_code = STOPPED_EXIT_CODE
        try:
            if summary is None:
                run.mark_preempting()
            else:
                exit_code = 0 if summary.status == "finished" else 1
                run.summary.update({"status": summary.status, "total_seconds": summary.seconds})
                if not self._thread.gave_up(run):
                    extras.at_the_end(run, self._directory, summary)
        except TimeoutError as error:
            self._thread.upload_failed(str(error))
        finally:
            self._thread.close_run(run, exit_code)
        if run.offline:
            latest = find_attempts(Path(run.dir).parent.parent, run.id)[-1]
            there, _ = latest.contents()
            if any(there.get(axis, -1) < last for axis, last in self._latest.items()):
                self._thread.warn(f"{latest.log}: lacks records, which {ADD}")


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
    earlier: list[Rows] = []
    if resumed:
        earlier += directory.rows()
        earlier += by_iteration(LayersFile(directory.layers_csv).rows())
    experiment, spec = run.experiment, run.experiment.spec
    tags = [experiment.suite, spec.family, f"depth-{spec.depth}"]  # of 64 characters at most
    tags += [f"cure-{cure.name}" for cure in experiment.cures]
    group = filter(None, (os.environ.get(JOB), experiment.network_name))
    defaults = {
        "WANDB_PROJECT": ("project", PROJECT),
        "WANDB_DIR": ("dir", str(folder)),
        "WANDB_NAME": ("name", f"{experiment.network_name}-s{run.seed}"),
        "WANDB_RUN_GROUP": ("group", "-".join(group)),
        "WANDB_JOB_TYPE": ("job_type", "train"),
        "WANDB_TAGS": ("tags", [tag[:64] for tag in tags]),
    }
    arguments = unless_set(defaults) | {"id": run_id, "config": config_of(run, identity)}
    arguments["resume"] = "allow" if resumed else None
    online, place = mode == "online", wandb_folder(folder)
    return WandbTracker(thread_of_process(), arguments, online, place, directory, earlier)


def new_run_id(run: Run) -> str:
    """The run's name and 8 random hex digits, because a run may be trained again."""
    network = re.sub(r"[^A-Za-z0-9._]+", "-", run.experiment.network_name).strip("-")
    return f"{network[:100]}-s{run.seed}-{secrets.token_hex(4)}"


def config_of(run: Run, identity: dict[str, Any]) -> dict[str, Any]:
    """The run's identity and network, with flat keys, by which dashboards filter and group."""
    experiment = run.experiment
    config: dict[str, Any] = {}
    for key, value in identity.items():
        if isinstance(value, dict):
            prefix = "" if key in ("network", "recipe") else f"{key}_"
            config |= {prefix + inner: item for inner, item in value.items()}
        else:
            config[key] = value
    return config | {
        "suite": experiment.suite,
        "network": experiment.network_name,
        "family": experiment.spec.family,
        "depth": experiment.spec.depth,
        "shortcut": experiment.spec.shortcut,
        "dataset": experiment.dataset.name,
        "seed": run.seed,
        "cure": " + ".join(map(str, experiment.cures)),
        "parameters": identity.get("parameters")
        or network_size(experiment.spec, experiment.images).parameters,
    }
