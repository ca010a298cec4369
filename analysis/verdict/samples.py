"""The final errors of a network over its seeds, in which diverged runs count."""

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from analysis.verdict import statistics
from analysis.verdict.statistics import Interval, Values
from resnet_bench.datasets.definitions import DATASETS


@dataclass(frozen=True)
class Sample:
    """The final errors of a network's ended runs: fractions."""

    finished: Mapping[int, float]  # by seed
    diverged: tuple[int, ...]  # seeds
    guessing: float  # the error of guessing

    @classmethod
    def of(cls, runs: pd.DataFrame, endpoint: str) -> "Sample":
        """`runs`: the last record of each run of one network; some may have no `endpoint`."""
        finished = runs[(runs["status"] == "finished") & runs[endpoint].notna()]
        errors = dict(zip(finished["seed"], finished[endpoint], strict=True))
        diverged = tuple(runs.loc[runs["status"] == "diverged", "seed"])
        return cls(errors, diverged, guessing(runs))

    def __len__(self) -> int:
        return len(self.finished) + len(self.diverged)

    @property
    def errors(self) -> Values:
        """(n,), finished runs first. A diverged run counts with the error of guessing."""
        return self._with(self.guessing)

    @property
    def at_least(self) -> Values:
        """(n,), a diverged run with the error of the worst finished one: it is no better."""
        return self._with(max(self.finished.values(), default=self.guessing))

    def _with(self, error: float) -> Values:
        return np.array([*self.finished.values(), *[error] * len(self.diverged)])


def guessing(runs: pd.DataFrame) -> float:
    """The error of guessing, a fraction, on the data set of `runs` that has most classes."""
    classes = (DATASETS[name].classes for name in runs["dataset"].unique())
    return 1 - 1 / max(classes, default=np.inf)


def interval(
    samples: Mapping[str, Sample],
    weights: Mapping[str, float],
    level: float = 0.95,
    resolution: float = 0.0,
) -> Interval | None:
    """Welch's interval of a weighted sum of means; None with a sample of fewer than two runs.

    Guessing is so far from other errors that one diverged run of twenty widens the interval until
    nothing can be said: a deep network that diverges would look less degraded. So each end may
    take, for samples that pull it outwards, the errors that diverged runs have at least.
    """
    if min(len(samples[key]) for key in weights) < 2:
        return None

    def of(side: int) -> Interval:
        errors = {
            key: samples[key].at_least if side * weight > 0 else samples[key].errors
            for key, weight in weights.items()
        }
        return statistics.sum_interval(errors, weights, level, resolution)

    found = of(0)
    return replace(found, low=max(found.low, of(1).low), high=min(found.high, of(-1).high))


def share_removed(
    samples: Mapping[str, Sample],
    cured: Mapping[str, float],
    control: Mapping[str, float],
    level: float = 0.95,
    resolution: float = 0.0,
) -> Interval | None:
    """1 - (degradation left) / (degradation of the control), by Fieller's method.

    Both degradations are weighted sums of means. None with a sample of fewer than two runs, or if
    the control does not clearly degrade.
    """
    errors = {key: samples[key].errors for key in {**cured, **control}}
    if min(map(len, errors.values())) < 2:
        return None
    left = statistics.ratio_interval(errors, cured, control, level, resolution)
    return left and Interval(1 - left.mean, 1 - left.high, 1 - left.low, level)
