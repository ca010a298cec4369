"""Locks on files: one process at a time, where the file system has locks."""

import errno
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

NO_LOCKS = {errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP}  # of some network file systems


@contextmanager
def hold(path: Path, timeout: float = 0) -> Iterator[bool]:
    """Hold the lock on the file `path`; yields False, without it, where there are no locks.

    Waits `timeout` seconds, without end if it is negative. Raises filelock.Timeout if another
    process holds it, and OSError if the file cannot be opened.
    """
    from filelock import FileLock  # takes 25 ms, and most commands need no lock

    # A soft lock is a file's existence: .lock stays after a run, and would count as held.
    lock = FileLock(path, fallback_to_soft=False)
    try:
        lock.acquire(timeout=timeout)
    except OSError as error:
        if error.errno not in NO_LOCKS:
            raise
        held = False
    else:
        held = True
    try:
        yield held
    finally:
        if held:
            lock.release()


def why_unlocked(folder: Path) -> str:
    """A sentence if files in `folder` cannot be locked; "" if they can, or nobody can write there.

    Raises nothing: who writes there says what is wrong.
    """
    probe = folder / ".lock-probe"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        probe.touch()
        with hold(probe) as held:
            return "" if held else f"{folder} cannot be locked: start no second sweep there"
    except OSError:
        return ""
    finally:
        with suppress(OSError):
            probe.unlink()
