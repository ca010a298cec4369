"""The lock of a run: one process at a time trains it, or moves its folder."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from itertools import count
from pathlib import Path

from resnet_bench.errors import UserError
from resnet_bench.locks import hold
from resnet_bench.records.files import writing
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


def set_aside(directory: RunDirectory) -> Path:
    """Move a run's folder to aside/ in its suite's, under a name with a number; returns it.

    Raises UserError if there is no such run, or if another process trains it.
    """
    if not directory.run_json.exists():
        raise UserError(f"{directory.path}: there is no run to set aside")
    aside = directory.path.parents[1] / "aside"
    name = f"{directory.path.parent.name}-{directory.path.name}"
    place = next(p for n in count(1) if not (p := aside / f"{name}-{n}").exists())
    with locked(directory), writing(place):
        aside.mkdir(exist_ok=True)
        directory.path.rename(place)
    return place
