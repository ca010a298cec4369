"""The lock of a run: one process at a time trains it."""

import warnings
from collections.abc import Iterator
from contextlib import contextmanager

from resnet_bench.errors import UserError
from resnet_bench.records.run_directory import RunDirectory


class HeldError(UserError):
    """Another process holds the run's lock."""


@contextmanager
def locked(directory: RunDirectory, wait: float = 0.0) -> Iterator[None]:
    """Hold the run's lock; HeldError if another process still does after `wait` seconds."""
    from filelock import FileLock, Timeout  # takes 25 ms, and most commands need no lock

    try:
        with warnings.catch_warnings(action="error"):
            held = FileLock(directory.lock).acquire(timeout=wait)
    except Timeout:
        raise HeldError(f"{directory.path}: another process is training this run") from None
    except (NotImplementedError, UserWarning):  # of a lock of another kind, which a kill leaves
        raise UserError(
            f"{directory.path}: its file system has no locks, which keep two processes from one"
            " run; give --results a folder on another one"
        ) from None
    with held:
        yield
