"""What became of the runs of a sweep, in words and as an exit code."""

import signal
from collections.abc import Iterable
from dataclasses import dataclass, field

from resnet_bench.experiments import Run
from resnet_bench.progress import Progress


@dataclass
class Outcome:
    """What became of a sweep."""

    ended: list[Progress] = field(default_factory=list)
    mistakes: list[str] = field(default_factory=list)  # what the user can put right
    crashes: list[str] = field(default_factory=list)
    interrupted_by: int | None = None  # a signal's number
    out_of_time: bool = False

    def exit_code(self) -> int:
        """0 done, 1 crashed, 2 a mistake, 3 a run diverged, 75 resumable, 130 interrupted."""
        if self.interrupted_by == signal.SIGINT:
            return 130
        if self.interrupted_by == signal.SIGTERM or self.out_of_time:
            return 75
        if self.crashes:
            return 1
        if self.mistakes:
            return 2
        return 3 if any(end.status == "diverged" for end in self.ended) else 0

    def has_ended(self, runs: Iterable[Run]) -> bool:
        """Whether all `runs` are finished or have diverged."""
        ended = {end.run for end in self.ended if end.status in ("finished", "diverged")}
        return ended.issuperset(runs)

    def in_words(self, runs: int) -> str:
        """One line on what became of the `runs` that were asked for."""
        counts = {
            status: sum(end.status == status for end in self.ended)
            for status in ("finished", "diverged")
        }
        parts = [f"{counts['finished']} of {runs} runs finished"]
        if counts["diverged"]:
            parts.append(f"{counts['diverged']} diverged")
        if self.interrupted_by is not None or self.out_of_time:
            parts.append("stopped; the same command goes on from here")
        return ", ".join(parts)
