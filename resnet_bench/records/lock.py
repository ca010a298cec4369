"""The lock of a run: one process at a time trains it."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

from resnet_bench.errors import UserError
from resnet_bench.locks import hold
from resnet_bench.records.run_directory import RunDirectory


class HeldError(UserError):
    """Another process holds the run's lock."""


@contextmanager
def locked(directory: RunDirectory, wait: float = 0.0) -> Iterator[None]:
    """Hold the run's lock; HeldError if another process still does after `wait` seconds."""
    from filelock import Timeout

    with ExitStack() as stack:
        try:
            stack.enter_context(hold(directory.lock, wait))
        except Timeout:
            raise HeldError(f"{directory.path}: another process is training this run") from None
        except OSError as error:
            raise UserError(f"{directory.lock}: cannot be opened: {error.strerror}") from error
        yield
