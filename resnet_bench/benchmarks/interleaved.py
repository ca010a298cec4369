"""Measure contenders in turn, so that drift of the machine affects all, and print tables."""

import math
import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

import pandas as pd
import torch
from torch.utils.benchmark import Timer


class Contender(Protocol):
    """A way to train all networks of a comparison."""

    name: str

    def train(self, steps: int) -> None:
        """Do `steps` steps of each network."""


@dataclass
class Timed:
    """Seconds per step of one contender, one value for each block."""

    seconds: list[float] = field(default_factory=list)
    gibibytes: float = math.nan  # GPU memory that it added, caches included

    @property
    def median(self) -> float:
        return statistics.median(self.seconds)

    def ratio(self, other: "Timed") -> float:
        """Its time over that of `other`: the median of the ratios within each block."""
        pairs = zip(self.seconds, other.seconds, strict=True)
        return statistics.median(mine / theirs for mine, theirs in pairs)


@dataclass(frozen=True)
class Contest:
    """Interleaved blocks: in each, every contender trains for about the same time."""

    blocks: int
    seconds: float  # about, of all blocks and contenders; the warm-ups come on top

    def run(self, contenders: Sequence[Contender]) -> dict[str, Timed]:
        timed = {contender.name: Timed() for contender in contenders}
        each = self.seconds / self.blocks / len(contenders)
        steps = {}
        for contender in contenders:  # warm-up: CUDA graphs are captured, cuDNN chooses kernels
            if torch.cuda.is_available():
                torch.cuda.empty_cache()  # a capture would empty it and hide the contender's memory
            before = _reserved()
            contender.train(2)
            timed[contender.name].gibibytes = (_reserved() - before) or math.nan
            steps[contender.name] = max(1, round(each / 1.1 / _seconds_a_step(contender, 3)))
        for _ in range(self.blocks):
            for contender in contenders:
                number = steps[contender.name]
                contender.train(max(1, number // 10))  # not counted: the one before leaves traces
                timed[contender.name].seconds.append(_seconds_a_step(contender, number))
        return timed


def _seconds_a_step(contender: Contender, steps: int) -> float:
    """Seconds for a step of all networks, until a GPU has done its work."""
    _wait_for_gpu()
    started = time.perf_counter()
    contender.train(steps)
    _wait_for_gpu()
    return (time.perf_counter() - started) / steps


def _wait_for_gpu() -> None:
    if torch.cuda.is_available():
        torch.cuda.synchronize()


def _reserved() -> float:
    return torch.cuda.memory_reserved() / 2**30 if torch.cuda.is_available() else 0.0


def seconds_of(work: Callable[[], object]) -> float:
    """Median seconds of `work`, on a GPU or on one thread, after a warm-up."""
    timer = Timer("work()", globals={"work": work})
    timer.timeit(3)
    return timer.blocked_autorange(min_run_time=1.0).median


def contest_table(
    timed: Mapping[str, Timed], images: int, predicted: Mapping[str, float]
) -> pd.DataFrame:
    """A row for each contender, of `images` per step; ratios are to the first, which is ours."""
    ours = next(iter(timed.values()))
    rows = {
        name: {
            "ms a step": times.median * 1e3,
            "from - to": f"{min(times.seconds) * 1e3:.2f} - {max(times.seconds) * 1e3:.2f}",
            "images/s": images / times.median,
            "time / ours": times.ratio(ours),
            "predicted": predicted.get(name, math.nan),
            "blocks": len(times.seconds),
            "GPU GiB": times.gibibytes,
        }
        for name, times in timed.items()
    }
    return pd.DataFrame.from_dict(rows, orient="index").rename_axis("loop")


def table_text(table: pd.DataFrame) -> str:
    """The table in columns, without those that are empty."""
    shown = table.dropna(axis="columns", how="all")
    shown = shown.rename_axis(index=None, columns=str(shown.index.name))  # one line of headings
    return shown.to_string(na_rep="-", float_format=_number)


def _number(value: float) -> str:
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.2f}"
