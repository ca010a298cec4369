"""A group of runs from whatever is on disk to finished: the one path of run, sweep and clusters.

Finished runs are skipped, partial ones resumed. For each record the row is on disk first, then
the checkpoint, then the W&B mirror hears of it.
"""

import fcntl
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any

import torch

from resnet_bench import checkpoints, tracking
from resnet_bench.batches import BatchStream
from resnet_bench.data import TrainingData
from resnet_bench.errors import UserError
from resnet_bench.experiments import Experiment, Run
from resnet_bench.graphs import LaneStep
from resnet_bench.initialization import digest
from resnet_bench.precision import (
    executed_precision,
    find_device,
    set_determinism,
    set_precision,
)
from resnet_bench.progress import Machine, Progress, finished, work
from resnet_bench.provenance import new_attempt
from resnet_bench.records import EpochRecord, RunDirectory, Summary
from resnet_bench.sources import load_dataset
from resnet_bench.training import Member, Step, eager_step, new_member, train


def go_on(_: Sequence[Progress]) -> bool:
    """The default listener: never stops a group."""
    return True


def run_group(
    runs: Sequence[Run],
    machine: Machine,
    listen: Callable[[Sequence[Progress]], bool] = go_on,
) -> list[Progress]:
    """Train the `runs`, which share data set, seed and batches, in lockstep; say how each ended.

    `listen` is told of the progress at every safe point; when it returns False the group stops
    with everything on disk. Raises UserError for what the user can put right.
    """
    device = find_device(machine.device)
    if device.type == "cpu" and (machine.graphs or machine.lanes):
        raise UserError("--graphs and --lanes need a CUDA device")
    first = runs[0].experiment
    _set_up_process(first, device)
    with ExitStack() as locks:
        ended = [done for run in runs if (done := finished(run, machine))]
        pending = [run for run in runs if run not in [done.run for done in ended]]
        if not pending:
            return ended
        data = training_data(first, machine.data_folder, device)
        stream = BatchStream(first.recipe, first.train_images, runs[0].seed)
        records = [_open(run, device, machine, locks, len(pending)) for run in pending]
        step = _choose_step(records, machine)
        try:
            _train(records, stream, data, machine, step, listen)
        finally:
            if isinstance(step, LaneStep):
                step.close()
            for record in records:
                record.close()
    return ended + [record.progress() for record in records]


def _set_up_process(experiment: Experiment, device: torch.device) -> None:
    """What a process must have set before it computes: all of it decides bits."""
    torch.set_num_threads(1)  # on a CPU, results are bit-stable for a fixed number only
    set_precision(executed_precision(experiment.recipe.precision, device), device)
    set_determinism(True, device)
    if device.index is not None:
        torch.cuda.set_device(device)


def _choose_step(records: Sequence["RunRecord"], machine: Machine) -> Step:
    """How the group's steps are executed, noted in each run's newest attempt."""
    members = [record.member for record in records]
    step: Step = eager_step
    execution = {"deterministic": True, "graphs": False, "lanes": 1}
    if members[0].device.type == "cuda":
        step = LaneStep(members, lanes=machine.lanes, graphs=machine.graphs is not False)
        deterministic = torch.are_deterministic_algorithms_enabled()
        execution = {
            "deterministic": deterministic,
            "graphs": step.graphs,
            "lanes": len(step.lanes),
        }
    for record in records:
        record.description["attempts"][-1] |= execution
        record.directory.write_description(record.description)
    return step


def measure(run: Run, machine: Machine) -> float:
    """Seconds for one unit of `work`: the fastest of three steps of `run` that leave no trace."""
    torch.set_num_threads(1)
    device = find_device(machine.device)
    experiment = run.experiment
    data = training_data(experiment, machine.data_folder, device)
    stream = BatchStream(experiment.recipe, experiment.train_images, run.seed)
    member = new_member(run, device)
    seconds = []
    for iteration in range(4):
        started = time.perf_counter()
        eager_step([member], data.batch(stream.draw(iteration)))
        member.totals.loss.item()  # waits for a GPU
        seconds.append(time.perf_counter() - started)
    return min(seconds[1:]) * experiment.recipe.iterations / work(run)


@dataclass
class RunRecord:
    """A member and its place on disk; everything that is written about it is written here."""

    member: Member
    directory: RunDirectory
    description: dict[str, Any]
    tracker: tracking.Tracker
    unmirrored: list[EpochRecord] = field(default_factory=list)  # not yet under a checkpoint
    summary: Summary | None = None

    def write(self, record: EpochRecord) -> None:
        self.directory.append(record)
        self.unmirrored.append(record)

    def save(self) -> None:
        """Checkpoint; then W&B may hear of the records that no resume will make again."""
        checkpoints.save(self.member, self.directory.checkpoint)
        attempt = self.description["attempts"][-1]
        attempt["last_iteration"] = self.member.iteration
        attempt["seconds"] = self.member.seconds - attempt["seconds_before"]
        self.directory.write_description(self.description)
        for record in self.unmirrored:
            self.tracker.log(record)
        self.unmirrored.clear()

    def end(self) -> None:
        """Write the summary if the member has ended: its presence means done."""
        member = self.member
        if member.living:
            return
        diverged = member.diverged_at is not None
        self.summary = Summary(
            status="diverged" if diverged else "finished",
            iteration=member.diverged_at or member.iteration,
            final=asdict(member.last_record) if member.last_record else {},
            seconds=member.seconds,
        )
        self.directory.write_summary(self.summary)

    def close(self) -> None:
        self.tracker.finish(self.summary)

    def progress(self) -> Progress:
        member = self.member
        status = self.summary.status if self.summary else "stopped"
        iteration = member.diverged_at or member.iteration
        return Progress(member.run, iteration, status, member.seconds, member.last_record)


def _train(
    records: Sequence[RunRecord],
    stream: BatchStream,
    data: TrainingData,
    machine: Machine,
    step: Step,
    listen: Callable[[Sequence[Progress]], bool],
) -> None:
    by_run = {record.member.run: record for record in records}
    open_records = list(records)
    saved_at = time.monotonic()

    def end_what_has_ended() -> None:
        for record in [record for record in open_records if not record.member.living]:
            record.save()
            record.end()
            open_records.remove(record)
            listen([record.progress()])

    def safe_point() -> bool:
        nonlocal saved_at
        end_what_has_ended()
        if time.monotonic() - saved_at >= machine.checkpoint_seconds:
            for record in open_records:
                record.save()
            saved_at = time.monotonic()
        return listen([_training(record.member) for record in open_records])

    members = [record.member for record in records]
    for member, row in train(members, stream, data, step=step, safe_point=safe_point):
        by_run[member.run].write(row)
    end_what_has_ended()
    for record in open_records:  # stopped at a safe point
        record.save()


def _training(member: Member) -> Progress:
    return Progress(member.run, member.iteration, "training", member.seconds, member.last_record)


def _open(
    run: Run, device: torch.device, machine: Machine, locks: ExitStack, group_size: int
) -> RunRecord:
    """The run's member, in the state of its checkpoint if there is one, and its directory."""
    directory = RunDirectory(run.directory(machine.results))
    directory.create()
    locks.enter_context(_locked(directory))
    member = new_member(run, device)
    identity = _identity(member)
    directory.check_identity(identity)
    description = directory.description() or {
        "identity": identity,
        "attempts": [],
        "wandb_id": tracking.new_run_id(run),
    }
    resumed = directory.checkpoint.exists()
    if resumed:
        checkpoints.load(member, directory.checkpoint)
    attempt = new_attempt(device, group_size, member.iteration, member.seconds)
    description["attempts"].append(attempt)
    directory.write_description(description)
    rows = directory.truncate_rows(member.iteration)
    if len(rows) != member.records:
        raise UserError(f"{directory.epochs_csv}: rows from before its checkpoint are missing")
    member.last_record = rows[-1] if rows else None
    tracker = tracking.start_tracking(
        run,
        identity,
        run_id=description["wandb_id"],
        folder=machine.results / run.experiment.suite,
        mode=machine.wandb_mode,
        resumed=resumed,
    )
    return RunRecord(member, directory, description, tracker)


def _identity(member: Member) -> dict[str, Any]:
    """All that decides the result's bits on one kind of device."""
    run = member.run
    experiment, recipe = run.experiment, run.experiment.recipe
    return {
        **experiment.identity(),
        "seed": run.seed,
        "precision": executed_precision(recipe.precision, member.device),
        "threads": torch.get_num_threads(),
        "digests": {
            "batch_stream": _stream_digest(experiment, run.seed),
            "initial_weights": digest(member.network),
            "initial_shared_weights": digest(member.network, shared_only=True),
        },
    }


@lru_cache(maxsize=8)
def _stream_digest(experiment: Experiment, seed: int) -> str:
    return BatchStream(experiment.recipe, experiment.train_images, seed).digest()


_last_data: dict[tuple[Any, ...], TrainingData] = {}


def training_data(
    experiment: Experiment, folder: Path | None, device: torch.device
) -> TrainingData:
    """The tensors of the last group again, where the next one wants the same."""
    recipe = experiment.recipe
    key = (experiment.dataset, folder, device, recipe.train_images, recipe.padding, recipe.pad)
    if key not in _last_data:
        _last_data.clear()
        train_images, test_images = load_dataset(experiment.dataset, folder)
        _last_data[key] = TrainingData(experiment, train_images, test_images, device)
    return _last_data[key]


@contextmanager
def _locked(directory: RunDirectory) -> Iterator[None]:
    """Hold the run's directory; raises UserError if another process does."""
    with (directory.path / ".lock").open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise UserError(f"{directory.path}: another process is training this run") from None
        yield
