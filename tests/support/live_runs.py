"""Runs in training, on disk, and what a figure shows of them."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from analysis import load
from resnet_bench.suites.suite import find_experiment
from tests.support.results import Options, write_run

NAME = "digits/plain-56"


def write(results: Path, share: float, **options: Any) -> Path:
    """plain-56 of digits, trained to a `share` of its iterations; returns its directory."""
    odd = Options(partial={"plain-56/0": share} if share < 1 else {}, **options)
    write_run(results, find_experiment(NAME), 0, odd)
    return results / NAME / "seed-0"


def rows_of(directory: Path) -> pd.DataFrame:
    """The rows of one run, as from `load.runs`."""
    runs = load.runs(directory.parents[1])
    return runs[runs["directory"] == str(directory)]


def data_of(figure: Figure) -> list[list[tuple[list[float], list[float]]]]:
    """(x, y) of each panel's curves, which have more than two points, unlike all else."""
    return [
        [(x, y) for x, y in map(_coordinates, axes.lines) if len(x) > 2] for axes in figure.axes
    ]


def _coordinates(line: Line2D) -> Any:
    return np.asarray(line.get_xydata()).T.tolist()
