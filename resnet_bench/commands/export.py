"""The command that writes a run's weights."""

from pathlib import Path
from typing import Annotated

import typer

from resnet_bench.commands.options import RESULTS, ExperimentName, Results, Seed, Settings
from resnet_bench.errors import UserError
from resnet_bench.paths import expanded
from resnet_bench.records.run_directory import RunDirectory
from resnet_bench.suites.experiment import Run
from resnet_bench.suites.suite import find_experiment


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

    Of a run that is not finished, those of its last checkpoint. The weights of a cure's network
    load into a network with its blocks.
    """
    from resnet_bench.training.checkpoints import export_weights

    run = Run(find_experiment(experiment, tuple(settings or ())), seed)
    directory = RunDirectory(run.directory(results))
    directory.check_identity(run.identity())
    if directory.status() == "diverged":
        raise UserError(f"{run.name} diverged: its weights are not numbers")
    target = expanded(output) if output else directory.path / "weights.pt"
    iteration = export_weights(directory.checkpoint, target)
    typer.echo(f"{target}: the weights after {iteration} iterations")
    if rows := directory.rows():
        last = rows[-1]
        typer.echo(f"test accuracy {1 - last.test_error:.2%}, measured after {last.iteration}")
