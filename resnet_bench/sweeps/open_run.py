"""A run in training together with its directory: opened, checked, resumed, written.

Rows are written first, then the checkpoint, then W&B's copy; the summary last.
"""

from contextlib import ExitStack
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

import torch

from resnet_bench.cures.blame import in_training
from resnet_bench.errors import RunError, UserError
from resnet_bench.networks.initialization import digest
from resnet_bench.records.csv_file import Mark
from resnet_bench.records.epochs import EpochRecord
from resnet_bench.records.files import remove_temporary
from resnet_bench.records.lock import HeldError, locked
from resnet_bench.records.provenance import new_attempt
from resnet_bench.records.run_directory import RunDirectory, Summary
from resnet_bench.suites.experiment import Run
from resnet_bench.sweeps.machine import Machine
from resnet_bench.sweeps.progress import Progress, finished
from resnet_bench.sweeps.resume import resume
from resnet_bench.tracking.metrics import Rows
from resnet_bench.tracking.tracker import Tracker, new_run_id, start_tracking
from resnet_bench.training import checkpoints
from resnet_bench.training.batches import BatchStream
from resnet_bench.training.data import TrainingData
from resnet_bench.training.precision import executed_precision
from resnet_bench.training.signals import measure_layers
from resnet_bench.training.state import TrainingState, new_state


@dataclass
class OpenRun:
    """A training state and its directory; everything about the run is written here."""

    state: TrainingState
    directory: RunDirectory
    description: dict[str, Any]  # the contents of run.json
    machine: Machine
    layers_measured: set[int]  # the iterations that are in layers.csv
    tracker: Tracker = field(default_factory=Tracker)
    # Rows that no checkpoint follows yet: a record, or the layers of an iteration.
    unmirrored: list[Rows] = field(default_factory=list)
    summary: Summary | None = None

    def begin_attempt(self, group_size: int, execution: dict[str, object]) -> None:
        """Write run.json with a new attempt, which is executed so, and start the W&B copy."""
        state, run = self.state, self.state.run
        attempt = new_attempt(state.device, group_size, state.iteration, state.seconds)
        self.description["attempts"].append(attempt | execution)
        self.directory.write_description(self.description)
        self.tracker = start_tracking(
            run,
            self.description["identity"],
            run_id=self.description["wandb_id"],
            folder=self.machine.results / run.experiment.suite,
            mode=self.machine.wandb_mode,
            resumed=self.directory.has_checkpoint(),
        )

    def write(self, record: EpochRecord) -> None:
        self.directory.append(record)
        self.unmirrored.append(record)

    @property
    def layers_due(self) -> bool:
        """Whether the recipe asks for the layers of this iteration, and they are not there yet."""
        return self.state.iteration in set(self.state.recipe.layers_at) - self.layers_measured

    def measure_layers(self, data: TrainingData) -> None:
        """Measure the network's layers at this iteration, which a GPU has done, and write them."""
        state = self.state
        self.layers_measured.add(state.iteration)
        if state.diverged_at is None and not state.totals.first_bad.item():
            with in_training(state.run, "its layers cannot be measured"):
                rows = measure_layers(state, data)
            self.directory.layers.append(rows)
            self.unmirrored.append(rows)

    def save(self) -> None:
        """Write a checkpoint; then send W&B the records that no resume will make again."""
        attempt = self.description["attempts"][-1]
        attempt["last_iteration"] = self.state.iteration
        attempt["seconds"] = self.state.seconds - attempt["seconds_before"]
        checkpoints.save(
            self.state,
            self.directory.checkpoint,
            description=self.description,
            marks=self.marks(),
            keep=self.directory.checkpoint_before,
        )
        self.directory.write_description(self.description)
        for rows in self.unmirrored:
            self.tracker.log(rows)
        self.unmirrored.clear()

    def marks(self) -> dict[str, Mark]:
        """What the CSVs hold. RunError if it is not what was written; the others can go on."""
        try:
            return self.directory.marks()
        except UserError as error:
            raise RunError(str(error), self.state.run) from error

    def end(self) -> None:
        """Write the summary of a run that is finished or has diverged: it means done.

        W&B's copy ends first: nobody opens a run again that is done.
        """
        state = self.state
        self.summary = Summary(
            status="finished" if state.diverged_at is None else "diverged",
            iteration=state.diverged_at or state.iteration,
            final=asdict(state.last_record) if state.last_record else {},
            seconds=state.seconds,
        )
        self.close()
        checkpoints.verify(self.directory.checkpoint)
        self.directory.checkpoint_before.unlink(missing_ok=True)
        self.marks()
        self.directory.write_summary(self.summary)

    def close(self) -> None:
        """End W&B's copy, once."""
        self.tracker.finish(self.summary)
        self.tracker = Tracker()

    def progress(self, now: Literal["training", "measuring", "stopped"]) -> Progress:
        """How far the run is, and how it ended; `now` is what it does unless it has ended."""
        state = self.state
        status = self.summary.status if self.summary else now
        iteration = state.diverged_at or state.iteration
        return Progress(
            state.run, iteration, status, state.measured, state.seconds, state.last_record
        )


def ended_or_open(
    run: Run, device: torch.device, machine: Machine, stack: ExitStack
) -> Progress | OpenRun:
    """How the run has ended, or else `open_run`. RunError if the others can go on without it."""
    try:
        return finished(run, machine) or open_run(run, device, machine, stack)
    except UserError as error:
        raise RunError(str(error), run) from error


def open_run(
    run: Run, device: torch.device, machine: Machine, stack: ExitStack
) -> OpenRun | Progress:
    """The run in the state of its checkpoint, or at its start; locked until `stack` is closed.

    Progress if another process holds the run, or has ended it meanwhile. Writes nothing but the
    directory and cuts rows that the checkpoint does not have. Raises UserError if the directory
    belongs to another run, or has lost rows.
    """
    directory = RunDirectory(run.directory(machine.results))
    directory.create()
    try:
        stack.enter_context(locked(directory, machine.lock_seconds))
    except HeldError:
        return Progress(run, 0, "elsewhere")
    if ended := finished(run, machine):
        return ended
    remove_temporary(directory.path)
    state = new_state(run, device)
    identity = _identity(state)
    directory.check_identity(identity)
    new = {"identity": identity, "attempts": [], "wandb_id": new_run_id(run)}
    description = new | (directory.description() or {})
    if not directory.has_checkpoint() and directory.rows():  # W&B has rows that are made again
        description["wandb_id"] = new_run_id(run)
    measured = resume(state, directory, description)
    opened = OpenRun(state, directory, description, machine, measured)
    stack.callback(opened.close)
    return opened


def _identity(state: TrainingState) -> dict[str, Any]:
    """Everything that decides the result's bits on one kind of device: run.json's `identity`."""
    run = state.run
    experiment, recipe = run.experiment, run.experiment.recipe
    parameters = sum(parameter.numel() for parameter in state.network.parameters())
    return {
        **run.identity(),
        # A cure may add some; without one they follow from the network's specification.
        **({"parameters": parameters} if experiment.cures else {}),
        "precision": executed_precision(recipe.precision, state.device),
        "threads": torch.get_num_threads(),
        "digests": {
            "batch_stream": BatchStream(recipe, experiment.train_images, run.seed).digest(),
            "initial_weights": digest(state.network),
            "initial_shared_weights": digest(state.network, shared_only=True),
        },
    }
