"""A temporary folder to fetch a data set into, for one process at a time."""

import shutil
import signal
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from types import FrameType

from filelock import Timeout

from resnet_bench.datasets.definitions import Dataset
from resnet_bench.locks import hold
from resnet_bench.paths import make_folder

Log = Callable[[str], None]


@contextmanager
def workspace_in(dataset: Dataset, folder: Path, log: Log) -> Iterator[Path]:
    """An empty folder in the data folder, removed at the end; waits while another process has one.

    Raises OSError if nothing can be written to `folder`.
    """
    make_folder(folder)
    lock = folder / f".{dataset.name}.lock"
    with ExitStack() as stack:
        try:
            stack.enter_context(hold(lock))
        except Timeout:
            log(f"{dataset.name}: waiting for another process that is fetching it")
            stack.enter_context(hold(lock, timeout=-1))
        for left in folder.glob(f".{dataset.name}.partial*"):  # by processes that were killed
            shutil.rmtree(left, ignore_errors=True)
        # A new name each time: children of a killed process may still write to the old folder.
        workspace = Path(tempfile.mkdtemp(prefix=f".{dataset.name}.partial-", dir=folder))
        try:
            with signals_as_exits():
                yield workspace
        finally:
            shutil.rmtree(workspace, ignore_errors=True)


@contextmanager
def signals_as_exits() -> Iterator[None]:
    """Within the context SIGTERM and SIGHUP raise SystemExit, so that `finally` blocks run.

    SIGTERM exits with 75, like a sweep: running the same command again continues. An ignored
    signal stays ignored (nohup). In other threads than the main one nothing changes.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def leave(number: int, _: FrameType | None) -> None:
        sys.exit(75 if number == signal.SIGTERM else 128 + number)

    numbers = (signal.SIGTERM, signal.SIGHUP)
    handled = [number for number in numbers if signal.getsignal(number) != signal.SIG_IGN]
    before = {number: signal.signal(number, leave) for number in handled}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
