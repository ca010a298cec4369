"""Notices what nobody reports: a group that has stopped moving, a launcher that was killed."""

import os
import time
from collections.abc import Sequence

from resnet_bench.suites.experiment import Run
from resnet_bench.sweeps.progress import Progress

LAUNCHER = os.getppid()  # at the start: once it is killed, its children have another parent
# Checkpoints and records are reported in parts; a step takes milliseconds, but the first one, in
# which graphs are captured and kernels chosen, is not held to this.
STALL_SECONDS = 60.0
STALLED = (
    "no iteration for a minute: kernels of different lanes may wait for each other on the GPU; "
    "the same command resumes, with --lanes 1 or (into another --results) --norm native"
)


def make_is_gone() -> bool:
    """Whether make started this process, and its shell was killed.

    A SIGTERM to make ends its shell and nothing below it: the sweep would run on, unseen.
    """
    return os.environ.get("RESNET_BENCH_SHELL") == str(LAUNCHER) and os.getppid() != LAUNCHER


class Watchdog:
    """When each group on a GPU last moved, by its reports; it counts once it has moved at all.

    A CPU's networks may take any time for an iteration, and wait for nothing.
    """

    def __init__(self, groups: Sequence[Sequence[Run]], *, on_gpu: bool) -> None:
        self.on_gpu = on_gpu
        self.barked = False
        self._group = {run: index for index, group in enumerate(groups) for run in group}
        self._begun: dict[int, Progress] = {}  # the first report of a group
        self._moved: dict[int, float] = {}  # time.monotonic()

    def note(self, progress: Progress) -> None:
        if progress.status not in ("training", "measuring"):
            return  # it has ended, or is not trained here
        index = self._group[progress.run]
        first = self._begun.setdefault(index, progress)
        if index in self._moved or (
            progress.run == first.run and progress.iteration > first.iteration
        ):
            self._moved[index] = time.monotonic()

    def forget(self, group: Sequence[Run]) -> None:
        """The group has ended."""
        self._moved.pop(self._group[group[0]], None)

    def stalled(self) -> str:
        """What to say, once, if a group that has moved says nothing any more; else ""."""
        longest = max((time.monotonic() - at for at in self._moved.values()), default=0.0)
        if not self.on_gpu or self.barked or longest <= STALL_SECONDS:
            return ""
        self.barked = True
        return STALLED
