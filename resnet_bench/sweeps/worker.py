"""What runs in the processes of a sweep: they train groups and report to the parent.

torch is imported inside the functions: the parent, too, imports this module.
"""

import os
import signal
import threading
import time
import traceback
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any, cast

from resnet_bench.errors import CaptureError, RunError, UserError
from resnet_bench.suites.experiment import Run
from resnet_bench.sweeps.machine import Machine
from resnet_bench.sweeps.progress import Progress
from resnet_bench.tracking.thread import set_warning_sink

# glibc gives freed memory back to the system and faults it in again at every step; keeping it, in
# huge pages, saves about a twentieth of the training time on a CPU.
KEEP_MEMORY = {
    "MALLOC_MMAP_MAX_": "0",
    "MALLOC_TRIM_THRESHOLD_": "17179869184",
    "GLIBC_TUNABLES": "glibc.malloc.hugetlb=1",
}
# Read by CUDA when it starts: products add up in one order only with workspaces of a fixed size,
# and streams side by side need a hardware queue each.
CUDA_SETTINGS = {"CUBLAS_WORKSPACE_CONFIG": ":4096:8", "CUDA_DEVICE_MAX_CONNECTIONS": "32"}
REPORT_SECONDS = 0.5
NOHUP = signal.getsignal(signal.SIGHUP) == signal.SIG_IGN
# Those that stop a sweep.
SIGNALS = (signal.SIGINT, signal.SIGTERM, *(() if NOHUP else (signal.SIGHUP,)))


@dataclass
class Worker:
    """A process's side of a sweep, made by the parent and begun by `start_worker`."""

    machine: Machine
    stop: Any  # an event of the parent's: at the next safe point
    interrupt_evaluation: Any  # another: within an evaluation, too
    abort: Any  # a third: a worker was killed, and the others get no more work
    reports: Any  # a queue to the parent
    parent: int  # its process id
    reported: float = 0.0
    busy: bool = False
    alone: bool = False  # the parent was killed
    broken: str = ""  # why this process cannot train any more

    def on_progress(self, progresses: Sequence[Progress]) -> bool:
        """Send the progress to the parent, now and then and at the end; False to stop training."""
        now = time.monotonic()
        ended = any(p.status not in ("training", "measuring") for p in progresses)
        if now - self.reported > REPORT_SECONDS or ended:
            self.reported = now
            for progress in progresses:
                self.reports.put(progress)
        measuring = any(p.status == "measuring" for p in progresses)
        stop = self.interrupt_evaluation if measuring else self.stop
        return not (stop.is_set() or self.alone)

    def watch(self) -> None:
        """End this process when the parent is gone or aborts; the pool's queues never notice."""
        while self.should_run or self.busy:  # a group in training stops before its next iteration
            time.sleep(0.5)
            self.alone = os.getppid() != self.parent
        os._exit(1)

    @property
    def should_run(self) -> bool:
        """Whether the parent still waits for this process."""
        return not (self.alone or self.abort.is_set())


_worker: Worker


def start_worker(worker: Worker, free_devices: Any) -> None:
    """Begin a worker; the pool calls this once in each process."""
    # The parent decides when to stop; Ctrl-C reaches the whole process group.
    for number in SIGNALS:
        signal.signal(number, signal.SIG_IGN)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, SIGNALS)  # held back since the process began
    worker.reports.cancel_join_thread()  # ending must not wait for a parent that does not read
    start_thread(worker, free_devices)
    threading.Thread(target=worker.watch, daemon=True).start()


def start_thread(worker: Worker, free_devices: Any) -> None:
    """Take one of the free devices: a process's worker, or a thread of the parent's."""
    global _worker
    worker.machine = replace(worker.machine, device=free_devices.get())
    _worker = worker
    set_warning_sink(worker.reports.put)  # the parent owns the terminal


def train_group(group: list[Run]) -> list[Progress]:
    """Train a group in this process; nothing if the sweep is stopping already, or gone.

    Where one run fails, the others go on without it, from their checkpoints.

    Raises UserError for what the user can put right, and again for every group after a failed
    capture.
    """
    from resnet_bench.sweeps.group import run_group

    if _worker.stop.is_set() or not _worker.should_run:
        return []
    if _worker.broken:
        raise UserError(_worker.broken)
    _worker.busy = True
    failed: list[Progress] = []
    try:
        while group:
            try:
                return failed + run_group(group, _worker.machine, _worker.on_progress)
            except RunError as error:
                group = [run for run in group if run != error.run]
                failed.append(Progress(cast(Run, error.run), 0, "failed", mistake=str(error)))
        return failed
    except CaptureError as error:
        _worker.broken = str(error)
        traceback.print_exception(error)  # where it failed; the message below is one line
        raise
    finally:
        _worker.busy = False


@contextmanager
def environment_of_workers() -> Iterator[dict[str, str]]:
    """Set for the processes started within, unless the user has set it otherwise; yields it."""
    wanted = KEEP_MEMORY | CUDA_SETTINGS
    added = {key: value for key, value in wanted.items() if key not in os.environ}
    os.environ.update(added)
    try:
        yield {key: os.environ[key] for key in wanted}
    finally:
        for key in added:
            del os.environ[key]
