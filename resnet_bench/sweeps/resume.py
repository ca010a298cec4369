"""A run as its checkpoint left it: the state, and the rows of the CSVs that it includes."""

from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

from resnet_bench.errors import UserError
from resnet_bench.records.run_directory import AGAIN, RunDirectory, run_folders
from resnet_bench.sweeps.progress import measured_images
from resnet_bench.training import checkpoints
from resnet_bench.training.state import TrainingState


def resume(state: TrainingState, directory: RunDirectory, description: dict[str, Any]) -> set[int]:
    """Bring `state` to where the checkpoint is, if there is one, and cut the rows after it.

    `description` is run.json's; what the checkpoint says of the attempts before it takes its place,
    as a file may have been changed, or a kill have come before it was written. Returns the
    iterations in layers.csv. Raises UserError if the checkpoint is damaged or another run's, or if
    rows from before it are missing or changed.
    """
    contents: dict[str, Any] = {}
    resumed = directory.has_checkpoint()
    if resumed:
        contents = checkpoints.load_newest(state, directory, description["identity"])
    if known := contents.get("description"):
        later = description["attempts"][len(known["attempts"]) :]  # those without a checkpoint
        description |= known | {"attempts": known["attempts"] + later}
    if marks := contents.get("marks"):
        directory.cut(marks)
    else:  # at the start, or after a checkpoint of a version before
        directory.keep_rows(state.records)
        directory.layers.keep_rows(state.iteration if resumed else -1)
    rows = directory.rows()
    if len(rows) != state.records:
        raise _lost_rows(directory.epochs_csv)
    state.last_record = rows[-1] if rows else None
    state.measured = measured_images(state.run, state.records)
    measured = {row.iteration for row in directory.layers.rows()}
    missing = {i for i in state.recipe.layers_at if i < state.iteration} - measured
    if missing and state.diverged_at is None:
        raise _lost_rows(directory.layers_csv)
    return measured


def attempts_in(suite: Path) -> Iterator[dict[str, Any]]:
    """The attempts of all runs in a suite's folder whose description can be read."""
    for folder in run_folders(suite):
        with suppress(UserError):
            yield from (RunDirectory(folder).description() or {}).get("attempts", [])


def _lost_rows(file: Path) -> UserError:
    return UserError(f"{file}: rows from before the checkpoint are missing; {AGAIN}")
