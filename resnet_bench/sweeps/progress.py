"""Progress reports and the outcome of a sweep; no torch, so that the parent starts quickly."""

import signal
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Literal

from resnet_bench.networks.sizes import network_size
from resnet_bench.records.epochs import EpochRecord
from resnet_bench.records.run_directory import RunDirectory
from resnet_bench.suites.experiment import Run
from resnet_bench.sweeps.machine import Machine
from resnet_bench.training.schedule import RecordSchedule


@dataclass(frozen=True)
class Progress:
    """How far a run is: sent between iterations, during evaluations, and at the end."""

    run: Run
    iteration: int
    status: Literal["training", "measuring", "stopped", "finished", "diverged", "failed"]
    measured: int = 0  # images passed forward for the records, over all attempts
    seconds: float = 0.0  # training time over all attempts
    last_record: EpochRecord | None = None
    mistake: str = ""  # why it failed

    def in_words(self, width: int = 0) -> str:
        """The line for a run that has ended; its title takes `width` columns, or what it needs."""
        name = f"{title(self.run):<{width}}"
        row = self.last_record
        if self.status == "diverged" or row is None:
            return f"{name}   {self.status} at iteration {self.iteration}"
        precise = row.precise_train_error  # what tables and verdict say; in every last record
        train = row.train_error if precise is None else precise
        errors = f"train error {train:7.2%}   test error {row.test_error:7.2%}"
        return f"{name}   {errors}   {self.seconds:7.1f} s"


def title(run: Run) -> str:
    """What a run is called within its suite."""
    return f"{run.experiment.network_name} seed {run.seed}"


def finished(run: Run, machine: Machine) -> Progress | None:
    """How `run` ended, if it has.

    Raises UserError if its directory belongs to another recipe, or has lost records.
    """
    directory = RunDirectory(run.directory(machine.results))
    summary, rows = directory.read_state(run.identity())
    if summary is None:
        return None
    last = rows[-1] if rows else None
    measured = measured_images(run, len(rows))
    return Progress(run, summary.iteration, summary.status, measured, summary.seconds, last)


def work(run: Run) -> int:
    """Multiply-adds of the whole run, its records' included: what progress is measured in."""
    schedule = RecordSchedule(run.experiment.recipe, run.experiment.train_images)
    measured = measured_images(run, schedule.records())
    return work_done(run, run.experiment.recipe.iterations, measured)


def work_done(run: Run, iterations: int, measured: int) -> int:
    """Multiply-adds of so many iterations and so many images `measured`.

    An image in training counts for three, forward and twice that backward.
    """
    size = network_size(run.experiment.spec, run.experiment.images)
    images = 3 * run.experiment.recipe.batch_size * iterations + measured
    return size.multiply_adds * images


def measured_images(run: Run, records: int) -> int:
    """Images that are passed forward for a run's first `records` records."""
    experiment, recipe = run.experiment, run.experiment.recipe
    train, test = experiment.train_images, experiment.dataset.test_images
    each = test + experiment.dataset.train_images - train  # those are held out
    clean = 2 * train + test + recipe.batch_size * recipe.whole_precise_batches(train)
    schedule = RecordSchedule(recipe, train)
    return each * records + clean * sum(map(schedule.clean_due, range(1, records + 1)))


@dataclass
class Outcome:
    """The result of a sweep."""

    ended: list[Progress] = field(default_factory=list)
    mistakes: list[str] = field(default_factory=list)  # what the user can correct
    crashes: list[str] = field(default_factory=list)
    interrupted_by: int | None = None  # a signal's number
    out_of_time: bool = False

    def add(self, ended: list[Progress]) -> None:
        """Of a group."""
        self.ended += ended
        self.mistakes += [end.mistake for end in ended if end.mistake]

    def exit_code(self) -> int:
        """0 done, 1 crashed, 2 a mistake, 3 a run diverged, 75 resumable, 130 interrupted."""
        if self.interrupted_by == signal.SIGINT:
            return 130
        if self.interrupted_by == signal.SIGTERM or self.out_of_time:
            return 75
        if self.crashes:
            return 1
        if self.mistakes:
            return 2
        return 3 if any(end.status == "diverged" for end in self.ended) else 0

    def has_ended(self, runs: Iterable[Run]) -> bool:
        """Whether all `runs` are finished or have diverged."""
        ended = {end.run for end in self.ended if end.status in ("finished", "diverged")}
        return ended.issuperset(runs)

    def in_words(self, runs: int) -> str:
        """One line: how many of the `runs` are finished, diverged or stopped."""
        counts = Counter(end.status for end in self.ended)
        parts = [f"{counts['finished']} of {runs} runs finished"]
        if counts["diverged"]:
            parts.append(f"{counts['diverged']} diverged")
        if self.interrupted_by is not None or self.out_of_time:
            parts.append("stopped; the same command resumes")
        return ", ".join(parts)
