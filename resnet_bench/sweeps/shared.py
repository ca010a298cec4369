"""What the processes of a sweep share, or one thread in their place where they cannot."""

import os
import queue
import signal
import threading
import time
from collections.abc import Iterator
from concurrent.futures import Executor, ProcessPoolExecutor, ThreadPoolExecutor
from contextlib import contextmanager, suppress
from multiprocessing import current_process, get_context
from pathlib import Path
from typing import Any

from resnet_bench.sweeps.worker import SIGNALS, Worker, start_thread, start_worker

SPAWN = get_context("spawn")
LOCKS = 64  # more than a sweep needs
SHARED_MEMORY = Path("/dev/shm")  # Linux's, where locks are files
OWN = "resnet-bench-"  # how the names of a sweep's locks begin, followed by its process id
ABANDONED_SECONDS = 600.0


def why_alone() -> str:
    """Why processes cannot share anything here, in a sentence; "" if they can.

    Their locks are files in /dev/shm, which a container may lack, or have read-only or tiny.
    """
    _remove_abandoned_locks()
    # No public way leads to the prefix. A random one would not tell whose locks they are.
    current_process()._config["semprefix"] = f"/{OWN}{os.getpid()}"  # type: ignore[attr-defined]
    try:
        _ = [SPAWN.Lock() for _ in range(LOCKS)]
    except (OSError, ImportError) as error:
        reason = getattr(error, "strerror", None) or error
        return f"/dev/shm cannot be used ({reason}): one network after another, in one process"
    return ""


def _remove_abandoned_locks() -> None:
    """Remove the locks of sweeps that were killed with all their processes at once."""
    for path in SHARED_MEMORY.glob(f"sem.{OWN}*"):
        with suppress(OSError, ValueError):
            number = int(path.name.removeprefix(f"sem.{OWN}").partition("-")[0])
            old = time.time() - path.stat().st_mtime > ABANDONED_SECONDS  # else another container's
            if old and not Path(f"/proc/{number}").exists():
                path.unlink()


class Shared:
    """Events, queues and workers: processes, or a thread of this one if it is `alone`."""

    def __init__(self, devices: list[str], alone: bool) -> None:
        self.alone = alone
        self.devices = devices[:1] if alone else devices
        self.free_devices = self.queue()
        for device in self.devices:
            self.free_devices.put(device)

    def event(self) -> Any:
        return threading.Event() if self.alone else SPAWN.Event()

    def queue(self) -> Any:
        return queue.Queue() if self.alone else SPAWN.Queue()

    def executor(self, worker: Worker) -> Executor:
        arguments = (worker, self.free_devices)
        if self.alone:
            return ThreadPoolExecutor(1, initializer=start_thread, initargs=arguments)
        return ProcessPoolExecutor(len(self.devices), SPAWN, start_worker, arguments)


@contextmanager
def signals_held_back() -> Iterator[None]:
    """Within the context signals wait, and processes that begin hold them back, too.

    A Ctrl-C reaches them while they still import, when nothing in them is ready for it.
    """
    before = signal.pthread_sigmask(signal.SIG_BLOCK, SIGNALS)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
