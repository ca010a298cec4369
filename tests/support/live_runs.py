"""Runs as the live view meets them, on disk and in memory, and what it has drawn of them."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from analysis.notebook.runs import LiveRun
from resnet_bench.records.epochs import COLUMNS, EpochRecord
from resnet_bench.suites.suite import find_experiment
from tests.support.results import Options, write_run

NAME = "digits/plain-56"


def write(results: Path, share: float, **options: Any) -> Path:
    """plain-56 of digits, trained to a `share` of its iterations; returns its directory."""
    odd = Options(partial={"plain-56/0": share} if share < 1 else {}, **options)
    write_run(results, find_experiment(NAME), 0, odd)
    return results / NAME / "seed-0"


def run_with(*iterations: int, **changes: Any) -> LiveRun:
    """A run with a record at each of `iterations`, 2 s and a tenth of its error after the other."""
    records = []
    for number, iteration in enumerate(iterations, 1):
        values: dict[str, Any] = dict.fromkeys(COLUMNS, number / 10)
        values |= {"epoch": 1, "iteration": iteration, "seconds": 2.0, "images_per_second": 1402.3}
        records.append(EpochRecord(**values))
    run = LiveRun(
        "digits", "plain-56", 0, "digits", 56, "none", False, 100, (50,), "partial", None,
        tuple(records),
    )  # fmt: skip
    return replace(run, **changes)


def data_of(figure: Figure) -> list[list[tuple[list[float], list[float]]]]:
    """(x, y) of each panel's curves, which have more than two points, unlike all else."""
    return [
        [(x, y) for x, y in map(_coordinates, axes.lines) if len(x) > 2] for axes in figure.axes
    ]


def _coordinates(line: Line2D) -> Any:
    return np.asarray(line.get_xydata()).T.tolist()
