"""A run in training and its place on disk: opened, checked, resumed, written.

Rows first, then the checkpoint, then the W&B mirror; the summary last.
"""

from contextlib import ExitStack
from dataclasses import asdict, dataclass, field
from typing import Any

import torch

from resnet_bench.errors import UserError
from resnet_bench.networks.initialization import digest
from resnet_bench.records.epochs import EpochRecord
from resnet_bench.records.layers import LayerRecord, LayersFile
from resnet_bench.records.provenance import new_attempt
from resnet_bench.records.run_directory import RunDirectory, Summary, locked
from resnet_bench.suites.experiment import Run
from resnet_bench.sweeps.machine import Machine
from resnet_bench.sweeps.progress import Progress, measured_images
from resnet_bench.tracking import tracker as tracking_tracker
from resnet_bench.training import checkpoints
from resnet_bench.training.batches import BatchStream
from resnet_bench.training.data import TrainingData
from resnet_bench.training.precision import executed_precision
from resnet_bench.training.signals import measure_layers
from resnet_bench.training.state import TrainingState, new_state


@dataclass
class OpenRun:
    """A state and its place on disk; everything that is written about it is written here."""

    state: TrainingState
    directory: RunDirectory
    description: dict[str, Any]
    tracker: tracking_tracker.Tracker
    measured: set[int]  # the iterations that are in layers.csv
    # Rows that are not yet under a checkpoint: of an epoch, or of an iteration's layers.
    unmirrored: list[EpochRecord | list[LayerRecord]] = field(default_factory=list)
    summary: Summary | None = None

    def write(self, record: EpochRecord) -> None:
        self.directory.append(record)
        self.unmirrored.append(record)

    def measure_layers(self, data: TrainingData) -> None:
        """Write the state's layers if its recipe wants them at this iteration."""
        state = self.state
        if state.iteration not in state.recipe.layers_at or state.iteration in self.measured:
            return
        self.measured.add(state.iteration)
        if state.diverged_at is None and not state.totals.first_bad.item():
            rows = measure_layers(state, data)
            LayersFile(self.directory.layers_csv).append(rows)
            self.unmirrored.append(rows)

    def save(self) -> None:
        """Checkpoint; then W&B may hear of the records that no resume will make again."""
        checkpoints.save(self.state, self.directory.checkpoint)
        attempt = self.description["attempts"][-1]
        attempt["last_iteration"] = self.state.iteration
        attempt["seconds"] = self.state.seconds - attempt["seconds_before"]
        self.directory.write_description(self.description)
        for rows in self.unmirrored:
            if isinstance(rows, EpochRecord):
                self.tracker.log(rows)
            else:
                self.tracker.log_layers(rows)
        self.unmirrored.clear()

    def end(self) -> None:
        """Write the summary if the state has ended: its presence means done."""
        state = self.state
        if state.active:
            return
        diverged = state.diverged_at is not None
        self.summary = Summary(
            status="diverged" if diverged else "finished",
            iteration=state.diverged_at or state.iteration,
            final=asdict(state.last_record) if state.last_record else {},
            seconds=state.seconds,
        )
        self.directory.write_summary(self.summary)

    def close(self) -> None:
        self.tracker.finish(self.summary)

    def progress(self) -> Progress:
        state = self.state
        status = self.summary.status if self.summary else "stopped"
        iteration = state.diverged_at or state.iteration
        return Progress(
            state.run, iteration, status, state.measured, state.seconds, state.last_record
        )


def open_run(
    run: Run, device: torch.device, machine: Machine, locks: ExitStack, group_size: int
) -> OpenRun:
    """The run's state, in the state of its checkpoint if there is one, and its directory."""
    directory = RunDirectory(run.directory(machine.results))
    directory.create()
    locks.enter_context(locked(directory))
    state = new_state(run, device)
    identity = _identity(state)
    directory.check_identity(identity)
    new = {"identity": identity, "attempts": [], "wandb_id": tracking_tracker.new_run_id(run)}
    description = new | (directory.description() or {})
    resumed = directory.checkpoint.exists()
    if resumed:
        checkpoints.load(state, directory.checkpoint)
    elif directory.rows():  # its checkpoint was deleted: W&B has rows that are made again
        description["wandb_id"] = tracking_tracker.new_run_id(run)
    attempt = new_attempt(device, group_size, state.iteration, state.seconds)
    description["attempts"].append(attempt)
    directory.write_description(description)
    rows = directory.keep_rows(state.records)
    if len(rows) != state.records:
        raise UserError(
            f"{directory.epochs_csv}: rows from before its checkpoint are missing; delete"
            f" {directory.checkpoint.name} to train the run again"
        )
    state.last_record = rows[-1] if rows else None
    state.measured = measured_images(run, state.records)
    layers = LayersFile(directory.layers_csv).truncate(state.iteration if resumed else -1)
    measured = {row.iteration for row in layers}
    missing = {i for i in state.recipe.layers_at if i < state.iteration} - measured
    if missing and state.diverged_at is None:
        raise UserError(
            f"{directory.layers_csv}: rows from before its checkpoint are missing; delete"
            f" {directory.checkpoint.name} to train the run again"
        )
    tracker = tracking_tracker.start_tracking(
        run,
        identity,
        run_id=description["wandb_id"],
        folder=machine.results / run.experiment.suite,
        mode=machine.wandb_mode,
        resumed=resumed,
    )
    return OpenRun(state, directory, description, tracker, measured)


def _identity(state: TrainingState) -> dict[str, Any]:
    """All that decides the result's bits on one kind of device."""
    run = state.run
    experiment, recipe = run.experiment, run.experiment.recipe
    return {
        **run.identity(),
        "precision": executed_precision(recipe.precision, state.device),
        "threads": torch.get_num_threads(),
        "digests": {
            "batch_stream": BatchStream(recipe, experiment.train_images, run.seed).digest(),
            "initial_weights": digest(state.network),
            "initial_shared_weights": digest(state.network, shared_only=True),
        },
    }
