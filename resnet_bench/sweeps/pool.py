"""The processes of a sweep, and one bar for all of them."""

import os
import queue
import signal
import sys
import time
import traceback
from collections.abc import Iterator
from concurrent.futures import Future
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from multiprocessing import active_children
from types import FrameType
from typing import Any

from tqdm import tqdm

from resnet_bench.errors import FROM_OUTSIDE, in_one_line
from resnet_bench.suites.experiment import Run
from resnet_bench.sweeps.machine import Machine
from resnet_bench.sweeps.progress import Outcome, Progress, title, work, work_done
from resnet_bench.sweeps.shared import Shared, signals_held_back
from resnet_bench.sweeps.watchdog import Watchdog, make_is_gone
from resnet_bench.sweeps.worker import SIGNALS, Worker, environment_of_workers, train_group

BAR = "{percentage:3.0f}% |{bar}| {elapsed} < {remaining}"
ECHO_SECONDS = 1.0  # `timeout` signals its child, then the child's whole group


@dataclass
class Pool:
    """The processes of one sweep, and what they report: one on each of `devices`."""

    groups: list[list[Run]]
    machine: Machine
    devices: list[str]
    deadline: float | None  # of time.monotonic()
    outcome: Outcome
    alone: bool = False  # without other processes
    cluster: Any = None  # in place of this machine's processes

    def __post_init__(self) -> None:
        # A sweep that is out of time finishes what it measures: a limit shorter than that would
        # never get past it.
        self.shared = self.cluster or Shared(self.devices, self.alone)
        self.events = self.shared.event(), self.shared.event(), self.shared.event()
        self.stop, self.interrupt_evaluation, self.abort = self.events
        self.reports = self.shared.queue()
        self.done: dict[Run, int] = {}  # work of the runs that have begun, as last reported
        self.width = max((len(title(run)) for group in self.groups for run in group), default=0)
        self.warned = False
        self.watchdog = Watchdog(self.groups, on_gpu=self.devices[0] != "cpu" and not self.cluster)
        self.signal: tuple[int, float] | None = None  # the first one's number and time

    def run(self) -> None:
        total = sum(work(run) for group in self.groups for run in group)
        worker = Worker(self.machine, *self.events, self.reports, os.getpid())
        with (
            environment_of_workers(),
            self._signals(),
            self.shared.executor(worker) as pool,
            tqdm(total=total, bar_format=BAR, smoothing=0.05, disable=None, file=sys.stderr) as bar,
        ):
            try:
                with signals_held_back():
                    jobs = [pool.submit(train_group, group) for group in self.groups]
                self._follow(jobs, bar)
            except BaseException:  # such as a process too many for the limits of this one
                self._end_workers()  # a mistake here must not leave them training unseen
                raise
        if self.outcome.has_ended(run for group in self.groups for run in group):
            self.outcome.out_of_time = False  # it was enough

    def _follow(self, jobs: list[Future[Any]], bar: Any) -> None:
        """Watch workers, clock and signals until every job is done."""
        waiting = set(jobs)
        while waiting:
            self._show_next(bar)
            if self.deadline and time.monotonic() > self.deadline and not self.stop.is_set():
                self.outcome.out_of_time = True
                self.stop.set()
            if self.signal:
                self._interrupt(self.signal[0])
            if make_is_gone():
                self._interrupt(signal.SIGTERM)
            if reason := self.watchdog.stalled():
                self.outcome.mistakes.append(reason)
                for process in active_children():  # the one that waits would never end by itself
                    process.kill()
            for future in [future for future in waiting if future.done()]:
                waiting.remove(future)
                self._collect(future, self.groups[jobs.index(future)])
        while self._show_next(bar, wait=0.05):
            pass

    def _end_workers(self) -> None:
        """Make the workers stop and end."""
        for event in self.events:
            event.set()

    def _show_next(self, bar: Any, wait: float = 0.2) -> bool:
        """Show one report of a worker, if there is one within `wait` seconds."""
        try:
            report: Progress | str = self.reports.get(timeout=wait)
        except queue.Empty:
            return False
        try:
            if isinstance(report, Progress):
                self._show(report, bar)
                self.watchdog.note(report)
            elif not self.warned:  # about W&B; the other workers say the same
                self.warned = True
                bar.write(report)
        except OSError:  # the output's reader has left (`| head`)
            bar.disable = True
            self._interrupt(signal.SIGTERM)
        return True

    def _show(self, progress: Progress, bar: Any) -> None:
        run = progress.run
        done = work_done(run, progress.iteration, progress.measured)
        if progress.status in ("diverged", "elsewhere"):
            bar.total -= work(run) - self.done.get(run, 0)  # will not be done, or not here
        elif run not in self.done:
            bar.total -= done  # by an earlier attempt
        else:
            bar.update(done - self.done[run])
        self.done[run] = done
        if progress.status in ("finished", "diverged"):
            bar.write(progress.in_words(self.width))

    def _collect(self, future: Future[Any], group: list[Run]) -> None:
        self.watchdog.forget(group)
        try:
            self.outcome.add(future.result())
        except FROM_OUTSIDE as error:
            self.outcome.mistakes.append(in_one_line(error))
        except BrokenProcessPool:
            self._end_workers()  # the others would train on without a parent
            message = "a worker process was killed (out of memory?); run again to resume"
            explained = self.outcome.interrupted_by is not None or self.watchdog.barked
            if not explained and message not in self.outcome.crashes:
                self.outcome.crashes.append(message)
        except Exception as error:  # one crash does not end a night's sweep
            names = ", ".join(run.name for run in group)
            trace = "".join(traceback.format_exception(error))
            self.outcome.crashes.append(f"{names}: {trace}")

    def _interrupt(self, number: int) -> None:
        """Stop as on a signal of this number, unless the sweep is stopping already."""
        if self.outcome.interrupted_by is not None:
            return
        self.outcome.interrupted_by = number
        self.stop.set()
        self.interrupt_evaluation.set()
        with suppress(OSError):
            print("\nStopping ...", file=sys.stderr, flush=True)

    def _on_signal(self, number: int, _: FrameType | None) -> None:
        """Note the signal; a second one, unless it is the first one's echo, ends all at once.

        Nothing else happens here: the code that was interrupted may hold a lock.
        """
        now = time.monotonic()
        if self.signal and now - self.signal[1] > ECHO_SECONDS:
            os._exit(128 + number)  # the workers notice that the parent is gone, and stop
        self.signal = self.signal or (number, now)

    @contextmanager
    def _signals(self) -> Iterator[None]:
        """The first Ctrl-C, SIGTERM or hangup stops the workers cleanly, the second at once."""
        before = {number: signal.signal(number, self._on_signal) for number in SIGNALS}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)
