"""The commands about W&B: workspaces or its terminal dashboard, and uploads."""

from typing import Annotated

import typer

from resnet_bench.commands.options import RESULTS, Results, SuiteName
from resnet_bench.suites.suite import load_suite
from resnet_bench.tracking.dashboard import dashboard as show
from resnet_bench.tracking.environment import prepare_environment
from resnet_bench.tracking.sync import sync as upload


def dashboard(
    suite: SuiteName,
    results: Results = RESULTS,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="print the workspaces")] = False,
) -> None:
    """Look at a suite's runs in W&B.

    Saves workspaces where there is an account, else opens W&B's terminal dashboard.
    """
    prepare_environment()
    show(load_suite(suite), results, dry_run)


def sync(
    suite: SuiteName,
    results: Results = RESULTS,
    yes: Annotated[bool, typer.Option("--yes", help="upload; else a dry run")] = False,
) -> None:
    """Upload a suite's offline runs to W&B."""
    prepare_environment()
    upload(load_suite(suite), results, yes)
