"""Runs as they stand while others train them: read from disk, and put into words."""

import math
import time
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime
from functools import lru_cache
from pathlib import Path

from analysis.formatting import duration
from analysis.frames import columns
from resnet_bench.errors import UserError
from resnet_bench.records.epochs import EpochRecord
from resnet_bench.records.run_directory import RunDirectory, Status
from resnet_bench.suites.suite import load_suite

QUIET_SECONDS = 180.0  # without a file written; while a run trains, a checkpoint comes in 30
PACE_RECORDS = 5  # the latest ones, from which the time that is left follows
LISTED = 6  # runs that the words name; the others are counted

Stamp = tuple[tuple[int, int] | None, ...]  # time and size of a run's files; None: not there


@dataclass(frozen=True)
class LiveRun:
    """A run and its records so far; equal to an earlier reading if there is nothing new."""

    suite: str
    network: str
    seed: int
    dataset: str
    depth: int
    shortcut: str
    named: bool  # by its suite file, or by a changed setting: depth and shortcut do not say it all
    iterations: int  # of the whole run
    drops: tuple[int, ...]
    status: Status
    ended_at: int | None  # the iteration at which it finished or diverged
    records: tuple[EpochRecord, ...]
    quiet_since: float | None = None  # when something was last written, if that is long ago

    @property
    def name(self) -> str:
        return f"{self.suite}/{self.network} seed {self.seed}"

    @property
    def ended(self) -> bool:
        return self.status in ("finished", "diverged")

    @property
    def training(self) -> bool:
        return not self.ended and self.quiet_since is None

    def state(self) -> str:
        """ "training, iteration 138 of 360, 1,402 images/s, about 0:45 of training left" """
        iteration = self.ended_at or (self.records[-1].iteration if self.records else 0)
        place = f"iteration {iteration:,} of {self.iterations:,}"
        words = ["quiet" if self.quiet_since else "training", place]
        if self.ended:
            words = [f"{self.status} at {place}"]
        if self.records:
            words.append(f"{self.records[-1].images_per_second:,.0f} images/s")
        if self.quiet_since:
            moment = datetime.fromtimestamp(self.quiet_since)
            words.append(f"nothing written since {moment:%H:%M on %d %B %Y}")
        elif not self.records:
            words.append("before its first record")
        elif not self.ended:
            words.append(f"about {duration(self.seconds_left())} of training left")
        return ", ".join(words)

    def latest(self) -> str:
        """ "epoch 7: training loss 1.93, training error 71.2%, test error 69.4%" """
        last = self.records[-1]
        errors = f"training error {last.train_error:.1%}, test error {last.test_error:.1%}"
        return f"epoch {last.epoch}: training loss {last.train_loss:.3g}, {errors}"

    def seconds_left(self) -> float:
        """Training time to the end at the pace of the latest records; evaluation comes on top."""
        latest = self.records[-PACE_RECORDS:]
        before = self.records[: -len(latest)]
        done = latest[-1].iteration - (before[-1].iteration if before else 0)
        pace = sum(record.seconds for record in latest) / done
        return pace * (self.iterations - latest[-1].iteration)


@dataclass(frozen=True)
class Scene:
    """All the runs at a path, and how many their suite declares beside them."""

    runs: tuple[LiveRun, ...]
    to_come: int = 0

    @property
    def ended(self) -> bool:
        """Whether nothing more will come."""
        return bool(self.runs) and not self.to_come and all(run.ended for run in self.runs)

    @property
    def begun(self) -> bool:
        """Whether there is anything to draw."""
        return any(run.records for run in self.runs)

    def in_words(self) -> list[str]:
        """How far the runs are: first what they are, then how each stands, a line each."""
        if len(self.runs) == 1 and not self.to_come:
            (run,) = self.runs
            return [run.name, run.state(), *([run.latest()] if run.records else [])]
        counts = {
            "finished": sum(run.status == "finished" for run in self.runs),
            "diverged": sum(run.status == "diverged" for run in self.runs),
            "in training": sum(run.training for run in self.runs),
            "quiet": sum(not run.ended and not run.training for run in self.runs),
            "not begun": self.to_come,
        }
        told = ", ".join(f"{count} {state}" for state, count in counts.items() if count)
        # What is not as it should be is named first.
        open_runs = [run for run in self.runs if run.status != "finished"]
        open_runs.sort(key=lambda run: (run.status != "diverged", run.training))
        lines = [f"{run.network} seed {run.seed}: {run.state()}" for run in open_runs]
        if len(lines) > LISTED:
            lines[LISTED - 1 :] = [f"and {len(lines) - LISTED + 1} more"]
        networks = {f"{run.suite}/{run.network}" for run in self.runs}
        one = len(networks) == 1 and not self.to_come
        title = networks.pop() if one else self.runs[0].suite
        return [f"{title}: {told}", *lines]


def read(path: Path) -> Scene:
    """The runs at `path`: a run's directory, an experiment's with its seeds, or a suite's.

    Of a suite, the experiments that its file declares and that are not there yet are to come, at
    each seed that is there, or at 0. Raises UserError for files that are not a run's.
    """
    if (path / "run.json").exists():
        return Scene(_read_all([path]))
    if seeds := sorted(path.glob("seed-*/run.json")):
        return Scene(_read_all(run_json.parent for run_json in seeds))
    runs = _read_all(run_json.parent for run_json in sorted(path.glob("*/seed-*/run.json")))
    return Scene(runs, _to_come(path, runs))


def _to_come(path: Path, runs: tuple[LiveRun, ...]) -> int:
    try:
        suite = load_suite(path.resolve().name)
    except UserError:  # a folder of another name
        return 0
    names = {experiment.network_name for experiment in suite.experiments}
    there = {(run.network, run.seed) for run in runs if run.network in names}
    seeds = {seed for _, seed in there} or {0}
    return len(names) * len(seeds) - len(there)


def _read_all(paths: Iterable[Path]) -> tuple[LiveRun, ...]:
    runs = []
    for path in paths:
        with suppress(FileNotFoundError):  # removed just now
            stamp, latest = _stamp(RunDirectory(path))
            quiet = time.time() - latest > QUIET_SECONDS
            run = _read_run(path, stamp)
            runs.append(replace(run, quiet_since=latest if quiet and not run.ended else None))
    return tuple(runs)


def _stamp(directory: RunDirectory) -> tuple[Stamp, float]:
    """What changes with every reading that would be new, and when anything was last written."""
    stamp: list[tuple[int, int] | None] = []
    latest = -math.inf
    for path in (directory.run_json, directory.epochs_csv, directory.summary_json):
        there = path.stat() if path.exists() else None
        stamp.append((there.st_mtime_ns, there.st_size) if there else None)
        latest = max(latest, there.st_mtime if there else latest)
    return tuple(stamp), latest


@lru_cache(maxsize=4096)
def _read_run(path: Path, _: Stamp) -> LiveRun:
    """The run in `path`; one that has ended is read once, however often it is looked at."""
    directory = RunDirectory(path)
    known = columns.run_columns(directory, None)
    return LiveRun(
        suite=known["suite"],
        network=known["network"],
        seed=known["seed"],
        dataset=known["dataset"],
        depth=known["depth"],
        shortcut=known["shortcut"],
        named=bool(known["variant"] or known["changed"]),
        iterations=known["recipe.iterations"],
        drops=tuple(known["recipe.drops"]),
        status=known["status"],
        ended_at=known["ended_at"],
        records=tuple(directory.rows()),
    )
