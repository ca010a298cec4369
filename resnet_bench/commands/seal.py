"""The command that seals runs which were trained before there were seals."""

from pathlib import Path
from typing import Annotated

import typer

from resnet_bench.errors import UserError
from resnet_bench.records.run_directory import RunDirectory


def seal(
    folder: Annotated[Path, typer.Argument(help="of results; every run below it is looked at")],
) -> None:
    """Seal runs that ended before there were seals, as they are.

    summary.json gets the SHA-256 of the run's files, as a run of today writes it itself. A run
    whose files contradict each other is not sealed, and no seal is ever replaced.
    """
    summaries = sorted(folder.rglob("summary.json"))
    if not summaries:
        raise UserError(f"no run in {folder} has ended")
    sealed, mistakes = 0, []
    for path in summaries:
        directory = RunDirectory(path.parent)
        try:
            summary, _ = directory.read_state({})
            if summary and summary.seal is None:
                directory.write_summary(summary)
                sealed += 1
        except UserError as error:
            mistakes.append(f"error: {error}")
    before = len(summaries) - sealed - len(mistakes)
    typer.echo(f"{sealed} of {len(summaries)} runs sealed, {before} were before")
    for mistake in mistakes:
        typer.echo(mistake, err=True)
    raise typer.Exit(2 if mistakes else 0)
