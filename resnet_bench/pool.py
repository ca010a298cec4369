"""The processes of a sweep, one bar for all of them, and what became of their runs."""

import os
import queue
import signal
import sys
import time
import traceback
from collections.abc import Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from dataclasses import dataclass, field
from multiprocessing import get_context
from types import FrameType
from typing import Any

from tqdm import tqdm

from resnet_bench.errors import UserError
from resnet_bench.experiments import Run
from resnet_bench.progress import Machine, Progress, work, work_done
from resnet_bench.workers import (
    environment_of_workers,
    seconds_per_work,
    start_worker,
    train_group,
)

HOUR = 3600.0
LAUNCHER = os.getppid()  # at the start: once it is killed, its children have another parent


@dataclass
class Outcome:
    """What became of a sweep."""

    ended: list[Progress] = field(default_factory=list)
    mistakes: list[str] = field(default_factory=list)  # what the user can put right
    crashes: list[str] = field(default_factory=list)
    interrupted_by: int | None = None  # a signal's number
    out_of_time: bool = False

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

    def in_words(self, runs: int) -> str:
        """One line on what became of the `runs` that were asked for."""
        counts = {
            status: sum(end.status == status for end in self.ended)
            for status in ("finished", "diverged")
        }
        parts = [f"{counts['finished']} of {runs} runs finished"]
        if counts["diverged"]:
            parts.append(f"{counts['diverged']} diverged")
        if self.interrupted_by is not None or self.out_of_time:
            parts.append("stopped; the same command goes on from here")
        return ", ".join(parts)


def make_is_gone() -> bool:
    """Whether make started this process, and its shell was killed.

    A SIGTERM to make ends its shell and nothing below it: the sweep would go on unseen.
    """
    return "MAKELEVEL" in os.environ and os.getppid() != LAUNCHER


class Pool:
    """The processes of one sweep, and what they report: one on each of `devices`."""

    def __init__(
        self,
        groups: list[list[Run]],
        machine: Machine,
        devices: list[str],
        deadline: float | None,
        outcome: Outcome,
    ) -> None:
        self.groups, self.machine, self.devices = groups, machine, devices
        self.deadline, self.outcome = deadline, outcome
        context = get_context("spawn")
        # A sweep that is out of time finishes what it measures: a limit shorter than that would
        # never get past it.
        self.stop, self.break_off = context.Event(), context.Event()
        self.reports = context.Queue()
        self.free_devices = context.Queue()
        for device in devices:
            self.free_devices.put(device)
        self.context = context
        self.done: dict[Run, int] = {}  # work of the runs that have begun, as last reported
        self.warned = False

    def run(self) -> None:
        events = (self.stop, self.break_off)
        arguments = (self.machine, self.free_devices, *events, self.reports, os.getpid())
        with (
            environment_of_workers(),
            self._signals(),
            ProcessPoolExecutor(
                len(self.devices), self.context, initializer=start_worker, initargs=arguments
            ) as pool,
            self._bar() as bar,
        ):
            # One network's eager steps say nothing about a group's graphs.
            measured = self.groups[-1:] if self.devices[0] == "cpu" else []
            estimates = [pool.submit(seconds_per_work, group[0]) for group in measured]
            jobs = [pool.submit(train_group, group) for group in self.groups]
            waiting: set[Future[Any]] = {*estimates, *jobs}
            while waiting:
                self._hear(bar)
                if self.deadline and time.monotonic() > self.deadline and not self.stop.is_set():
                    self.outcome.out_of_time = True
                    self.stop.set()
                if make_is_gone() and self.outcome.interrupted_by is None:
                    self._interrupt(signal.SIGTERM)
                for future in [future for future in waiting if future.done()]:
                    waiting.remove(future)
                    if future in estimates:
                        self._say_estimate(future, bar)
                    else:
                        self._collect(future, self.groups[jobs.index(future)])
            while self._hear(bar, wait=0.05):
                pass

    def _hear(self, bar: Any, wait: float = 0.2) -> bool:
        """Show one report of a worker, if there is one within `wait` seconds."""
        try:
            report: Progress | str = self.reports.get(timeout=wait)
        except queue.Empty:
            return False
        if isinstance(report, Progress):
            self._show(report, bar)
        elif not self.warned:  # of W&B; the other workers have nothing new to say
            self.warned = True
            bar.write(report)
        return True

    def _show(self, progress: Progress, bar: Any) -> None:
        run = progress.run
        done = work_done(run, progress.iteration, progress.measured)
        if progress.status == "diverged":
            bar.total -= work(run) - self.done.get(run, 0)  # will not be done
        elif run not in self.done:
            bar.total -= done  # by an earlier attempt
        else:
            bar.update(done - self.done[run])
        self.done[run] = done
        if progress.status in ("finished", "diverged"):
            bar.write(str(progress))

    def _collect(self, future: Future[Any], group: list[Run]) -> None:
        names = ", ".join(run.name for run in group)
        try:
            self.outcome.ended += future.result()
        except UserError as error:
            self.outcome.mistakes.append(str(error))
        except BrokenProcessPool:
            message = "a worker process was killed (out of memory?); run again to go on"
            if message not in self.outcome.crashes:
                self.outcome.crashes.append(message)
        except OSError as error:
            # A full disk, above all: no bug, and no use in its trace.
            place = f": {error.filename}" if error.filename else ""
            self.outcome.mistakes.append(f"{names}: {error.strerror or error}{place}")
        except Exception as error:  # one crash does not end a night's sweep
            trace = "".join(traceback.format_exception(error))
            self.outcome.crashes.append(f"{names}: {trace}")

    def _say_estimate(self, estimate: Future[float], bar: Any) -> None:
        if estimate.exception() is not None:
            return  # whatever is wrong is said by the runs themselves
        total = sum(work(run) for group in self.groups for run in group)
        seconds = estimate.result() * total / len(self.devices)
        if seconds > HOUR:
            device = self.devices[0].partition(":")[0]
            bar.write(
                f"This sweep will take about {seconds / HOUR:.1f} hours ({device}, processes: "
                f"{len(self.devices)}).\nCtrl-C stops it cleanly; the same command goes on."
            )

    def _bar(self) -> Any:
        total = sum(work(run) for group in self.groups for run in group)
        form = "{percentage:3.0f}% |{bar}| {elapsed} < {remaining}"
        return tqdm(total=total, bar_format=form, disable=None, smoothing=0.05, file=sys.stderr)

    def _interrupt(self, number: int) -> None:
        """Stop as a signal of this number asks for it."""
        self.outcome.interrupted_by = number
        self.stop.set()
        self.break_off.set()
        print("\nStopping ...", file=sys.stderr)

    @contextmanager
    def _signals(self) -> Iterator[None]:
        """The first Ctrl-C or SIGTERM stops the workers cleanly, the second at once."""

        def on_signal(number: int, _: FrameType | None) -> None:
            if self.stop.is_set() and self.outcome.interrupted_by is not None:
                os._exit(128 + number)  # the workers see that they are alone, and stop
            self._interrupt(number)

        before = {
            number: signal.signal(number, on_signal) for number in (signal.SIGINT, signal.SIGTERM)
        }
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)
