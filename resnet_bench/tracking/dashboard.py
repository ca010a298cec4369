"""Show a suite's runs: in saved W&B workspaces, or in W&B's terminal dashboard."""

import os
import subprocess
import sys
import warnings
from contextlib import suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from types import ModuleType

from resnet_bench.errors import UserError
from resnet_bench.suites.suite import Suite
from resnet_bench.tracking.attempts import find_attempts, wandb_folder
from resnet_bench.tracking.environment import choose_mode

LINK_SECONDS = 5.0  # from one look for new runs to the next


def dashboard(suite: Suite, results: Path, dry_run: bool) -> None:
    """Save the suite's workspaces and print their addresses; offline, open the terminal dashboard.

    A dry run prints the workspaces as JSON and needs no account. Raises UserError if the extra,
    the runs, a terminal or W&B's server is missing.
    """
    if dry_run:
        workspaces = _workspaces()
        views = workspaces.build(suite, results, os.environ.get("WANDB_ENTITY", ""))
        print(workspaces.as_json(views))
    elif choose_mode() == "online":
        _save(suite, results)
    else:
        _open_terminal(suite, results)


def _save(suite: Suite, results: Path) -> None:
    """Create the views, or replace those saved before; prints their addresses."""
    workspaces = _workspaces()
    os.environ.setdefault("WANDB_SILENT", "true")
    import wandb

    try:
        entity = os.environ.get("WANDB_ENTITY") or wandb.Api().default_entity or ""
        for view in workspaces.build(suite, results, entity):
            print(f"{view.name}: {workspaces.save(view)}", flush=True)
    except Exception as error:
        reason = " ".join(str(error).split()) or type(error).__name__
        raise UserError(f"W&B did not save the workspaces: {reason}") from None


def _workspaces() -> ModuleType:
    """The module workspaces, which needs the optional extra; raises UserError without it."""
    os.environ.setdefault("WANDB_ERROR_REPORTING", "false")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)  # of wandb_workspaces itself
            from resnet_bench.tracking import workspaces
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] != "wandb_workspaces":
            raise
        raise UserError(
            "workspaces need the optional extra: .venv/bin/pip install -e '.[dashboards]'"
        ) from None
    return workspaces


def _open_terminal(suite: Suite, results: Path) -> None:
    folder = wandb_folder(results / suite.name)
    if not find_attempts(folder):
        raise UserError(f"no W&B runs in {folder}; `make sweep SUITE={suite.name}` makes some")
    if not sys.stdout.isatty():
        raise UserError(
            "W&B's terminal dashboard needs a terminal; --dry-run (with make: DRY_RUN=1) prints"
            " workspaces"
        )
    environment = {"WANDB_ERROR_REPORTING": "false"} | os.environ
    with TemporaryDirectory(prefix=f"{suite.name}-") as links:
        link_by_network(folder, Path(links))
        command = [sys.executable, "-m", "wandb", "leet", links]
        with subprocess.Popen(command, env=environment) as process:
            while process.poll() is None:
                with suppress(subprocess.TimeoutExpired):
                    process.wait(LINK_SECONDS)
                link_by_network(folder, Path(links))
    if process.returncode:
        raise UserError(f"W&B's terminal dashboard failed on {folder}")


def link_by_network(folder: Path, links: Path) -> None:
    """Links to the attempts in W&B's `folder`, by names that a narrow list can tell apart.

    W&B's own names begin with the time. Its list shows folders called run-..., and finds a run's
    file by the last run-<time>-<id> of the name: so the links have the network before that.
    """
    for attempt in find_attempts(folder):
        link = links / f"run-{attempt.run_id.rpartition('-')[0]}-{attempt.path.name}"
        if not link.is_symlink():
            link.symlink_to(attempt.path.absolute())
