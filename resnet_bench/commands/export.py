"""The commands about files of finished runs: their weights, their seals, a union of folders."""

from pathlib import Path
from typing import Annotated

import typer

from resnet_bench.commands.options import RESULTS, ExperimentName, Results, Seed, Settings
from resnet_bench.errors import UserError
from resnet_bench.paths import expanded
from resnet_bench.records import seals
from resnet_bench.records.files import find_paths
from resnet_bench.records.merge import merge as merge_suite
from resnet_bench.records.run_directory import RunDirectory, run_folders
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
    summary = directory.summary(checkpoint=True)
    if summary and summary.status == "diverged":
        raise UserError(f"{run.name} diverged: its weights are not numbers")
    target = expanded(output) if output else directory.path / "weights.pt"
    at = summary.iteration if summary else None
    iteration = export_weights(directory.checkpoint, target, run.identity(), at)
    typer.echo(f"{target}: the weights after {iteration} iterations")
    if rows := directory.rows():
        last = rows[-1]
        typer.echo(f"test accuracy {1 - last.test_error:.2%}, measured after {last.iteration}")


def seal(
    folder: Annotated[Path, typer.Argument(help="of results; every run below it is looked at")],
) -> None:
    """Seal runs that ended before there were seals, and witnesses, as they are.

    summary.json gets the SHA-256 of the run's files, as a run of today writes it itself. A run
    whose files contradict each other is not sealed, and no seal is ever replaced.
    """
    found = sorted(path for name in SEALERS for path in folder.rglob(name))
    if not found:
        raise UserError(f"no run in {folder} has ended")
    sealed, mistakes = 0, []
    for path in found:
        try:
            sealed += SEALERS[path.name](path)
        except UserError as error:
            mistakes.append(f"error: {error}")
    before = len(found) - sealed - len(mistakes)
    typer.echo(f"{sealed} of {len(found)} sealed, {before} were before")
    for mistake in mistakes:
        typer.echo(mistake, err=True)
    raise typer.Exit(2 if mistakes else 0)


def _seal_run(path: Path) -> bool:
    directory = RunDirectory(path.parent)
    summary, _ = directory.read_state({})
    if summary is None or summary.seal is not None:
        return False
    directory.write_summary(summary)
    return True


def _seal_witness(path: Path) -> bool:
    contents, sealed = seals.read_sealed(path)
    if not sealed:
        seals.write_sealed(path, contents)
    return not sealed


SEALERS = {"summary.json": _seal_run, "witness.json": _seal_witness}  # whether it was not before


def merge(
    sources: Annotated[list[Path], typer.Argument(metavar="FROM...", help="folders of results")],
    into: Annotated[Path, typer.Argument(metavar="INTO", help="a folder of results, or a new one")],
) -> None:
    """Take the ended runs of folders of results into one, each with its checkpoint.

    Seals are checked, and nothing is replaced: a run that is there with other contents is refused.
    The same command goes on after an interruption. Runs that have not ended, and W&B's logs, stay.
    """
    refused = []
    for source in sources:
        suites = [path for path in find_paths(expanded(source), "*") if run_folders(path)]
        if not suites:
            hint = f"; that is {source.parent}" if run_folders(source) else ""
            raise UserError(f"{source} is no folder of results, with a folder a suite{hint}")
        for suite in suites:
            merged = merge_suite(suite, expanded(into) / suite.name)
            typer.echo(f"{suite}: {merged.in_words()}, {len(merged.refused)} refused")
            refused += merged.refused
    for reason in refused:
        typer.echo(f"error: {reason}", err=True)
    raise typer.Exit(2 if refused else 0)
