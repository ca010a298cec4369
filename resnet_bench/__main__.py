"""The command line. It carries facts of this machine only; what decides a result is in the suite.

torch, wandb and pandas are imported inside the commands that need them, so that --help and list
answer at once.
"""

import os
import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from resnet_bench.datasets import DATASETS
from resnet_bench.errors import UserError, did_you_mean
from resnet_bench.experiments import (
    SUITES_FOLDER,
    Run,
    find_experiment,
    load_suite,
)
from resnet_bench.listings import list_experiments, status
from resnet_bench.options import (
    RESULTS,
    DataFolder,
    Device,
    ExperimentName,
    Graphs,
    Lanes,
    Results,
    Seed,
    Settings,
    SuiteName,
    TimeLimit,
    Wandb,
    parse_duration,
)
from resnet_bench.records import RunDirectory
from resnet_bench.shapes import shapes
from resnet_bench.witness_command import witness

if TYPE_CHECKING:
    from resnet_bench.progress import Machine


class Application(typer.core.TyperGroup):
    """The commands, which end quietly where the reader of a pipe has left: `... list | head`."""

    def invoke(self, ctx: Any) -> object:
        try:
            return super().invoke(ctx)
        except BrokenPipeError:  # typer would make it exit code 1, that of a crash
            _say_no_more()
            raise typer.Exit(0) from None


app = typer.Typer(
    cls=Application,
    help="Matched plain and residual networks, trained and compared (He et al. 2015).",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,  # --help without rich, whose import takes a third of the time
    add_completion=True,
)


@app.command()
def run(
    experiment: ExperimentName,
    seed: Seed = 0,
    settings: Settings = None,
    device: Device = None,
    data_dir: DataFolder = None,
    results: Results = RESULTS,
    wandb: Wandb = None,
    time_limit: TimeLimit = None,
    graphs: Graphs = None,
    lanes: Lanes = None,
) -> None:
    """Train one experiment, by name."""
    found = find_experiment(experiment, tuple(settings or ()))
    machine = replace(_machine(results, device, data_dir, wandb), graphs=graphs, lanes=lanes)
    _train([Run(found, seed)], machine, 1, time_limit)


@app.command()
def sweep(
    suite: Annotated[str | None, typer.Argument(metavar="[SUITE]")] = None,
    seeds: Annotated[int, typer.Option(min=1, help="3 means seeds 0, 1 and 2")] = 1,
    workers: Annotated[
        int | None, typer.Option(min=1, help="processes on a CPU; one a core if not given")
    ] = None,
    device: Device = None,
    data_dir: DataFolder = None,
    results: Results = RESULTS,
    wandb: Wandb = None,
    time_limit: TimeLimit = None,
    graphs: Graphs = None,
    lanes: Lanes = None,
) -> None:
    """Train every experiment of a suite.

    What is finished is skipped, what is not is resumed.
    """
    loaded = load_suite(suite or choose_suite(device))
    runs = [Run(experiment, seed) for seed in range(seeds) for experiment in loaded.experiments]
    machine = replace(_machine(results, device, data_dir, wandb), graphs=graphs, lanes=lanes)
    _train(runs, machine, workers, time_limit)


@app.command("default-suite")
def default_suite(device: Device = None) -> None:
    """Print the suite that a sweep takes by itself."""
    typer.echo(choose_suite(device))


app.command("list")(list_experiments)
app.command()(status)
app.command()(shapes)
app.command()(witness)


@app.command()
def data(dataset: str, data_dir: DataFolder = None) -> None:
    """Fetch a data set, if need be, and verify it."""
    from resnet_bench.sources import load_dataset

    if dataset not in DATASETS:
        raise UserError(f"unknown data set {dataset!r}{did_you_mean(dataset, DATASETS)}")
    train, test = load_dataset(DATASETS[dataset], data_dir)
    typer.echo(
        f"{dataset}: {len(train.labels)} training and {len(test.labels)} test images, verified"
    )


@app.command()
def export(
    experiment: ExperimentName,
    seed: Seed = 0,
    settings: Settings = None,
    output: Annotated[
        Path | None, typer.Option(help="weights.pt beside the run if not given")
    ] = None,
    results: Results = RESULTS,
) -> None:
    """Write a run's weights as a state dict, and print their test accuracy.

    Of a run that is not finished, those of its last checkpoint.
    """
    from resnet_bench.checkpoints import export_weights

    run = Run(find_experiment(experiment, tuple(settings or ())), seed)
    directory = RunDirectory(run.directory(results))
    if directory.status() == "diverged":
        raise UserError(f"{run.name} diverged: its weights are not numbers")
    target = output or directory.path / "weights.pt"
    iteration = export_weights(directory.checkpoint, target)
    typer.echo(f"{target}: the weights after {iteration} iterations")
    if rows := directory.rows():
        last = rows[-1]
        typer.echo(f"test accuracy {1 - last.test_error:.2%}, measured after {last.iteration}")


@app.command()
def dashboard(
    suite: SuiteName,
    results: Results = RESULTS,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="print the workspaces")] = False,
) -> None:
    """Look at a suite's runs in W&B.

    Saves workspaces where there is an account, else opens W&B's terminal dashboard.
    """
    from resnet_bench.dashboards import dashboard as show

    _load_environment_file()
    show(load_suite(suite), results, dry_run)


@app.command()
def sync(
    suite: SuiteName,
    results: Results = RESULTS,
    yes: Annotated[bool, typer.Option("--yes", help="upload; else a dry run")] = False,
) -> None:
    """Upload a suite's offline runs to W&B."""
    from resnet_bench.sync import sync as upload

    _load_environment_file()
    upload(load_suite(suite), results, yes)


def choose_suite(device: str | None) -> str:
    """The paper's suite where there is a GPU, the embedded one elsewhere; says which and why."""
    from resnet_bench.sweep import find_devices

    if find_devices(device) != ["cpu"]:
        typer.echo(
            "CUDA GPU found: suite cifar10, the paper's sweep (SUITE=digits for minutes)", err=True
        )
        return "cifar10"
    typer.echo(
        "No CUDA GPU: suite digits, 8x8 scans, minutes (SUITE=cifar10-short for real CIFAR-10 on "
        "a CPU, SUITE=cifar10 for the paper's sweep)",
        err=True,
    )
    return "digits"


def _load_environment_file() -> None:
    """Add what .env says about W&B to the environment, which wins over it."""
    from dotenv import load_dotenv

    try:
        load_dotenv(SUITES_FOLDER.parent / ".env")
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f".env: cannot be read: {error}") from error


def _machine(
    results: Path, device: str | None, data_dir: Path | None, wandb: str | None
) -> "Machine":
    from resnet_bench.progress import Machine
    from resnet_bench.tracking import choose_mode

    _load_environment_file()
    if wandb not in (None, "online", "offline", "disabled"):
        raise UserError(f"--wandb {wandb!r}: use online, offline or disabled")
    return Machine(results, device, data_dir, choose_mode(wandb))  # type: ignore[arg-type]


def _train(
    runs: list[Run], machine: "Machine", workers: int | None, time_limit: str | None
) -> None:
    """Train the runs and exit with the sweep's code, saying what went wrong."""
    from resnet_bench.sweep import sweep as train_all

    limit = parse_duration(time_limit) if time_limit else None
    outcome = train_all(runs, machine, workers=workers, time_limit=limit)
    try:
        for mistake in dict.fromkeys(outcome.mistakes):
            typer.echo(f"error: {mistake}", err=True)
        for crash in outcome.crashes:
            typer.echo(crash, err=True)
        typer.echo(outcome.in_words(len(runs)))
    except BrokenPipeError:
        _say_no_more()
    raise typer.Exit(outcome.exit_code())


def _say_no_more() -> None:
    """Whoever read the output has left: what is still to come goes nowhere."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    for stream in (sys.stdout, sys.stderr):
        os.dup2(nowhere, stream.fileno())


def main() -> None:
    """Run the command line; the user's mistakes are one line and exit code 2."""
    try:
        app()
    except UserError as error:
        typer.echo(f"error: {error}", err=True)
        sys.exit(2)


if __name__ == "__main__":
    main()
