"""The folder that a data set is fetched into: one process at a time, and nothing left behind."""

import fcntl
import shutil
import signal
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType

from resnet_bench.datasets.definitions import Dataset

Say = Callable[[str], None]


@contextmanager
def workspace_in(dataset: Dataset, folder: Path, say: Say) -> Iterator[Path]:
    """An empty folder in the data folder, for one process at a time; raises OSError."""
    folder.mkdir(parents=True, exist_ok=True)
    # The lock file stays: deleting it would let two processes lock two different files.
    with (folder / f".{dataset.name}.lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            say(f"{dataset.name}: waiting for another process that is fetching it")
            fcntl.flock(lock, fcntl.LOCK_EX)
        for left in folder.glob(f".{dataset.name}.partial*"):  # of processes that were killed
            shutil.rmtree(left, ignore_errors=True)
        # Of a name of its own: what such a process had started may still write to the old one.
        workspace = Path(tempfile.mkdtemp(prefix=f".{dataset.name}.partial-", dir=folder))
        try:
            with signals_as_exits():
                yield workspace
        finally:
            shutil.rmtree(workspace, ignore_errors=True)


@contextmanager
def signals_as_exits() -> Iterator[None]:
    """Within the context SIGTERM and SIGHUP leave it as Ctrl-C does, ending what it started.

    With a sweep's exit code for SIGTERM, 75, as the same command goes on.
    """
    if threading.current_thread() is not threading.main_thread():
        yield  # signals are the main thread's
        return

    def leave(number: int, _: FrameType | None) -> None:
        sys.exit(75 if number == signal.SIGTERM else 128 + number)

    numbers = (signal.SIGTERM, signal.SIGHUP)
    heard = [number for number in numbers if signal.getsignal(number) != signal.SIG_IGN]  # nohup
    before = {number: signal.signal(number, leave) for number in heard}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
