"""The W&B mirror: every EpochRecord a second time, where people look at dashboards.

The CSV is the record; this is its mirror, and training never waits for it. All calls to W&B
happen in one thread of their own, which warns once, goes offline where the server fails, and
raises nothing. Only `finish` waits, with a limit. wandb itself is imported in that thread, so
a process that tracks nothing does not pay for it.
"""

import os
import re
import secrets
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from queue import SimpleQueue
from typing import Any

from resnet_bench.experiments import Run
from resnet_bench.records import EpochRecord, Summary
from resnet_bench.sizes import network_size
from resnet_bench.wandb_environment import Mode, choose_mode, settings_for

__all__ = ["METRICS", "Mode", "Tracker", "choose_mode", "new_run_id", "start_tracking"]

# EpochRecord's field -> the name in W&B; dashboards name nothing else. The part before a slash
# is the panel's section in W&B's own workspace.
METRICS = {
    "epoch": "epoch",
    "iteration": "iteration",
    "learning_rate": "lr",
    "train_loss": "train/loss",
    "train_error": "train/error",
    "clean_train_error": "train/clean_error",
    "precise_train_error": "train/precise_error",
    "test_loss": "test/loss",
    "test_error": "test/error",
    "precise_test_error": "test/precise_error",
    "validation_loss": "validation/loss",
    "validation_error": "validation/error",
    "seconds": "seconds",
    "images_per_second": "images_per_second",
}

FINISH_SECONDS = 60.0  # how long `finish` waits at most; the rows are on disk all the same
STOPPED_EXIT_CODE = 75  # a run that is to be resumed


class Tracker:
    """Follows one run. This one does nothing: mode `disabled`."""

    def log(self, record: EpochRecord) -> None:
        """Mirror a record that is already in epochs.csv, each exactly once and in order."""

    def finish(self, summary: Summary | None) -> None:
        """End the mirrored run; None: it was stopped and will be resumed under the same id."""


class WandbTracker(Tracker):
    """Follows one run in W&B. Its methods return at once; what fails costs one warning."""

    def __init__(self, courier: "Courier", arguments: dict[str, Any], online: bool) -> None:
        self._courier = courier
        self._arguments = arguments  # of wandb.init
        self._run: Any = None  # touched by the courier's thread only
        courier.send(lambda: self._open(online))

    def log(self, record: EpochRecord) -> None:
        row = metrics_of(record)
        self._courier.send(lambda: self._log(row))

    def finish(self, summary: Summary | None) -> None:
        finished = threading.Event()
        self._courier.send(lambda: self._finish(summary), finished.set)
        self._courier.wait_for(finished)

    def _open(self, online: bool) -> None:
        self._run = self._courier.open_run(self._arguments, online)
        self._run.define_metric("epoch", hidden=True)
        for name in METRICS.values():
            if name != "epoch":
                self._run.define_metric(name, step_metric="epoch")

    def _log(self, row: dict[str, float]) -> None:
        if self._run is not None:
            self._run.log(row)  # without step=: W&B drops rows whose step goes backwards

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
            self._courier.close_run(run, exit_code_of(summary))


class Courier(threading.Thread):
    """The one thread of a process that talks to W&B: calls are carried out in the order sent."""

    def __init__(self) -> None:
        super().__init__(name="wandb-courier", daemon=True)
        self.pid = os.getpid()
        self._calls: SimpleQueue[tuple[Callable[[], None], Callable[[], object]]] = SimpleQueue()
        self._open_runs = 0
        self._server_failed = False
        self._warned = False
        self._patience = FINISH_SECONDS
        self.start()

    def send(self, call: Callable[[], None], done: Callable[[], object] = lambda: None) -> None:
        """Have `call`, and after it `done`, carried out in the courier's thread."""
        self._calls.put((call, done))

    def wait_for(self, done: threading.Event) -> None:
        """Wait until `done`, in vain only once a process."""
        if not done.wait(self._patience):
            self._patience = 0.0
            self.warn("no answer; what is missing there is on disk")

    def run(self) -> None:
        while True:
            call, done = self._calls.get()
            try:
                call()
            except BaseException as error:  # wandb.teardown can raise SystemExit
                self.warn(_one_line(error))
            done()

    def open_run(self, arguments: dict[str, Any], online: bool) -> Any:
        """A new W&B run, offline where the server fails; raises what W&B does if that fails too."""
        os.environ.setdefault("WANDB_SILENT", "true")  # a sweep's progress bar stays whole
        os.environ.setdefault("WANDB_ERROR_REPORTING", "false")
        _check_folder(arguments)
        if online and not self._server_failed:
            try:
                return self._init(arguments, "online")
            except Exception as error:
                self._server_failed = True
                self.warn(f"{_one_line(error)}; going on offline")
                self._tear_down()
        return self._init(arguments, "offline")

    def close_run(self, run: Any, exit_code: int) -> None:
        self._open_runs -= 1
        run.finish(exit_code=exit_code)

    def warn(self, message: str) -> None:
        """Say `message` on the terminal, unless something has been said before."""
        if not self._warned:
            self._warned = True
            from tqdm import tqdm  # knows how to write above a progress bar

            tqdm.write(f"warning: W&B: {message} (training and CSVs go on)", file=sys.stderr)

    def _init(self, arguments: dict[str, Any], mode: Mode) -> Any:
        import wandb

        settings = settings_for(mode, set(wandb.Settings.model_fields))
        # create_new: by default a second init in a process returns the first run.
        run = wandb.init(**arguments, reinit="create_new", settings=wandb.Settings(**settings))
        self._open_runs += 1
        return run

    def _tear_down(self) -> None:
        """Drop what is left of a failed init, which would stand in the way of the next."""
        import wandb

        if self._open_runs == 0:  # it ends all runs
            wandb.teardown()


_courier: Courier | None = None


def start_tracking(
    run: Run, identity: dict[str, Any], *, run_id: str, folder: Path, mode: Mode, resumed: bool
) -> Tracker:
    """A tracker for `run`, whose files go to `folder`/wandb; with `disabled` there are none.

    `identity` is what run.json holds; `run_id` is the same in every attempt at this run.
    """
    if mode == "disabled":
        return Tracker()
    global _courier
    if _courier is None or _courier.pid != os.getpid():  # a forked child has no thread
        _courier = Courier()
    arguments = _unless_in_environment(
        WANDB_PROJECT=("project", "resnet_bench"),
        WANDB_DIR=("dir", str(folder)),
        WANDB_NAME=("name", short_name(run)),
        WANDB_RUN_GROUP=("group", run.experiment.network_name),
        WANDB_JOB_TYPE=("job_type", "train"),
        WANDB_TAGS=("tags", tags_of(run)),
    )
    arguments |= {"id": run_id, "config": config_of(run, identity)}
    arguments["resume"] = "allow" if resumed else None
    return WandbTracker(_courier, arguments, mode == "online")


def new_run_id(run: Run) -> str:
    """The run's name, for people, and 8 random hex digits: deleted results may be run again."""
    network = re.sub(r"[^A-Za-z0-9._]+", "-", run.experiment.network_name).strip("-")
    return f"{network[:100]}-s{run.seed}-{secrets.token_hex(4)}"


def short_name(run: Run) -> str:
    return f"{run.experiment.network_name}-s{run.seed}"


def tags_of(run: Run) -> list[str]:
    network = run.experiment.network
    tags = [run.experiment.suite, network.family, f"depth-{network.depth}"]
    return [tag[:64] for tag in tags]  # W&B's limit


def config_of(run: Run, identity: dict[str, Any]) -> dict[str, Any]:
    """What the run is, with flat keys: dashboards filter and group by them."""
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
        "family": experiment.network.family,
        "depth": experiment.network.depth,
        "shortcut": experiment.network.shortcut,
        "dataset": experiment.dataset.name,
        "seed": run.seed,
        "parameters": network_size(experiment.network, experiment.dataset).parameters,
    }


def metrics_of(record: EpochRecord) -> dict[str, float]:
    """The row of W&B's history for `record`: what was not measured is left out."""
    values = {name: getattr(record, field) for field, name in METRICS.items()}
    return {name: value for name, value in values.items() if value is not None}


def exit_code_of(summary: Summary | None) -> int:
    if summary is None:
        return STOPPED_EXIT_CODE
    return 0 if summary.status == "finished" else 1


def _check_folder(arguments: dict[str, Any]) -> None:
    """Make the folder of W&B's files; raises OSError if it cannot be written.

    W&B itself would write to the system's folder for temporary files, where nobody looks.
    """
    if "dir" in arguments:
        folder = Path(arguments["dir"], "wandb")
        folder.mkdir(parents=True, exist_ok=True)
        if not os.access(folder, os.W_OK):
            raise PermissionError(f"{folder} cannot be written")


def _unless_in_environment(**defaults: tuple[str, Any]) -> dict[str, Any]:
    """Arguments of wandb.init; one that a variable of W&B's sets is left to it."""
    return {
        name: value for variable, (name, value) in defaults.items() if not os.environ.get(variable)
    }


def _one_line(error: BaseException) -> str:
    return " ".join(f"{type(error).__name__}: {error}".split())
