"""Parts in a process of their own: one that fails, crashes or hangs is a row, not the end."""

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from multiprocessing import get_context
from multiprocessing.connection import Connection
from typing import Any

SPAWN = get_context("spawn")
START_SECONDS = 60.0  # for a process to import torch and start CUDA


@dataclass(frozen=True)
class Part:
    """One thing to try: `work(site)`, a function that a new process can import."""

    name: str
    work: Callable[[Any], Any]
    seconds: float  # after which it is ended


@dataclass(frozen=True)
class Row:
    """How a part ended."""

    part: Part
    passed: bool
    found: Any  # what the part returned; in words why it failed
    seconds: float


def run_parts(parts: Sequence[Part], site: Any, deadline: float) -> Iterator[Row]:
    """The parts in order, in one process as long as none fails; none begins after `deadline`."""
    left = list(parts)
    while left and time.monotonic() < deadline:
        ours, theirs = SPAWN.Pipe()
        process = SPAWN.Process(target=_work, args=(left, site, theirs), daemon=True)
        process.start()
        theirs.close()
        started, allowed = time.monotonic(), START_SECONDS
        try:
            while left and time.monotonic() < deadline:
                row = _next(ours, left[0], allowed + left[0].seconds, started)
                yield row
                left.pop(0)
                if not row.passed:
                    break  # what CUDA computes after a failure is not to be trusted
                started, allowed = time.monotonic(), 0.0
        finally:
            process.kill()
            process.join()
    for part in left:
        yield Row(part, False, "no time was left", 0.0)


def _next(connection: Connection, part: Part, limit: float, started: float) -> Row:
    try:
        there = connection.poll(limit)
        passed, found = connection.recv() if there else (False, f"no answer in {limit:.0f} s")
    except EOFError:
        passed, found = False, "its process ended"
    return Row(part, passed, found, time.monotonic() - started)


def _work(parts: Sequence[Part], site: Any, connection: Connection) -> None:
    """In the process: do the parts, and send how each ended."""
    for part in parts:
        try:
            connection.send((True, part.work(site)))
        except Exception as error:
            connection.send((False, f"{type(error).__name__}: {error}".partition("\n")[0]))
            return
