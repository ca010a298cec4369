"""A group trained away from its results: in a folder of its own, whose files go home."""

import os
import queue
import secrets
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from resnet_bench.launchers.desk import Files, put, read_new
from resnet_bench.records.run_directory import RunDirectory
from resnet_bench.suites.experiment import Run
from resnet_bench.sweeps.machine import Machine
from resnet_bench.sweeps.progress import Progress
from resnet_bench.sweeps.worker import SIGNALS, Worker, start_thread, train_group
from resnet_bench.tracking.environment import prepare_environment

EXCHANGE_SECONDS = 1.0


def train_away(
    ask: Callable[..., Any], machine: Machine, group: list[Run], variables: dict[str, str]
) -> list[Progress]:
    """`train_group`, on a machine that may share nothing with the desk's.

    `ask("begin", ...)` calls a method of the desk. `variables` are added to the environment.
    """
    for number in SIGNALS:
        signal.signal(number, signal.SIG_IGN)  # the desk says when to stop
    os.environ.update(variables)
    prepare_environment()
    devices: Any = queue.SimpleQueue()
    devices.put(machine.device)
    with TemporaryDirectory(prefix="resnet_bench-") as folder:
        link = Link(ask, Path(folder))
        held = link.begin(group)
        there = replace(machine, results=link.folder)
        stop, interrupt_evaluation, abort = link.events
        worker = Worker(there, stop, interrupt_evaluation, abort, link.reports, os.getppid())
        start_thread(worker, devices)
        with link.open():
            ended = train_group([run for run in group if run not in held])
        ended += [Progress(run, 0, "elsewhere") for run in held]
        home = str(machine.results)
        return [replace(end, mistake=end.mistake.replace(folder, home)) for end in ended]


@dataclass
class Link:
    """What one try of a task exchanges with the desk."""

    ask: Callable[..., Any]
    folder: Path
    name: str = field(default_factory=lambda: secrets.token_hex(8))
    reports: Any = field(default_factory=queue.SimpleQueue)
    seen: dict[Path, Any] = field(default_factory=dict)  # the files that are at home
    failure: Exception | None = None

    def __post_init__(self) -> None:
        self.events = [threading.Event() for _ in range(3)]
        self.closing = threading.Event()

    def begin(self, group: list[Run]) -> list[Run]:
        """Fetch the files of the runs; returns those runs that another process holds."""
        files, held = self.ask("begin", self.name, group)
        put(self.folder, files)
        self.new_files()
        return held

    @contextmanager
    def open(self) -> Iterator[None]:
        """Within the context files and reports go home every second, and the last at its end."""
        self.exchange()  # the sweep may be stopping already
        thread = threading.Thread(target=self.keep_exchanging, daemon=True)
        thread.start()
        try:
            yield
        finally:
            self.closing.set()
            thread.join()
            if self.failure:
                raise self.failure
            self.exchange(last=True)

    def keep_exchanging(self) -> None:
        try:
            while not self.closing.wait(EXCHANGE_SECONDS):
                self.exchange()
        except Exception as error:
            self.failure = error
            for event in self.events:
                event.set()

    def exchange(self, last: bool = False) -> None:
        reports = []
        while not self.reports.empty():
            reports.append(self.reports.get())
        stop = self.ask("exchange", self.name, self.new_files(), reports, last)
        for event, is_set in zip(self.events, stop, strict=True):
            if is_set:
                event.set()

    def new_files(self) -> Files:
        """Without the checkpoints before the last ones: they were sent when they were the last."""
        before = RunDirectory(self.folder).checkpoint_before.name
        paths = (path for path in self.folder.rglob("*") if path.name != before)
        return read_new(self.folder, paths, self.seen)
