"""Measure contenders in turn, so that drift of the machine affects all, and format tables."""

import csv
import statistics
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import torch

from resnet_bench.benchmarks.yardsticks import Contender

Cell = str | float | int | None


@dataclass
class Timed:
    """Seconds per step of one contender, one value for each block."""

    seconds: list[float] = field(default_factory=list)
    gibibytes: float | None = None  # GPU memory that it added, caches included

    @property
    def median(self) -> float:
        return statistics.median(self.seconds)

    def ratio(self, other: "Timed") -> float:
        """Its time over that of `other`: the median of the ratios within each block."""
        pairs = zip(self.seconds, other.seconds, strict=True)
        return statistics.median(mine / theirs for mine, theirs in pairs)


@dataclass(frozen=True)
class Contest:
    """Interleaved blocks: in each, every contender does its share of `steps`."""

    blocks: int
    steps: int
    discard: int  # steps before each measurement, not counted
    deadline: float  # of time.monotonic(); no block starts that would end later

    def run(self, contenders: Sequence[Contender]) -> dict[str, Timed]:
        timed = {contender.name: Timed() for contender in contenders}
        for contender in contenders:  # warm-up: CUDA graphs are captured, cuDNN chooses kernels
            if torch.cuda.is_available():
                torch.cuda.empty_cache()  # a capture would empty it and hide the contender's memory
            before = _reserved()
            contender.seconds_a_step(2)
            timed[contender.name].gibibytes = (_reserved() - before) or None
        for block in range(self.blocks):
            started = time.monotonic()
            for contender in contenders:
                contender.seconds_a_step(max(1, round(self.discard * contender.share)))
                steps = max(1, round(self.steps * contender.share))
                timed[contender.name].seconds.append(contender.seconds_a_step(steps))
            now = time.monotonic()
            if now + (now - started) > self.deadline and block + 1 < self.blocks:
                print(f"out of time after {block + 1} of {self.blocks} blocks")
                break
        return timed


def _reserved() -> float:
    return torch.cuda.memory_reserved() / 2**30 if torch.cuda.is_available() else 0.0


CONTEST_HEADER = (
    *("loop", "ms a step", "from - to", "images/s", "time / ours", "predicted"),
    *("blocks", "GPU GiB"),
)


def contest_rows(
    timed: Mapping[str, Timed], images: int, ours: str, predicted: Mapping[str, float]
) -> list[list[Cell]]:
    """A row for each contender, of `images` per step, with measured and predicted ratio."""
    return [
        [
            name,
            times.median * 1e3,
            spread(times.seconds),
            images / times.median,
            times.ratio(timed[ours]),
            predicted.get(name),
            len(times.seconds),
            times.gibibytes,
        ]
        for name, times in timed.items()
    ]


def spread(seconds: Sequence[float]) -> str:
    """The range, in milliseconds."""
    return f"{min(seconds) * 1e3:.2f} - {max(seconds) * 1e3:.2f}"


def format_table(header: Sequence[str], rows: Sequence[Sequence[Cell]]) -> str:
    """Text in columns: the first aligned to the left, the others to the right."""
    texts = [[_text(cell) for cell in row] for row in rows]
    widths = [max(map(len, column)) for column in zip(header, *texts, strict=True)]

    def line(cells: Sequence[str]) -> str:
        first, *others = zip(cells, widths, strict=True)
        padded = [first[0].ljust(first[1]), *(cell.rjust(width) for cell, width in others)]
        return "  ".join(padded).rstrip()

    return "\n".join([line(header), "  ".join("-" * width for width in widths), *map(line, texts)])


def write_csv(path: Path, header: Sequence[str], rows: Sequence[Sequence[Cell]]) -> None:
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(header)
        writer.writerows(["" if cell is None else cell for cell in row] for row in rows)


def _text(cell: Cell) -> str:
    if isinstance(cell, float):
        return f"{cell:,.0f}" if abs(cell) >= 1000 else f"{cell:.2f}"
    return "-" if cell is None else str(cell)
