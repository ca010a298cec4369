"""The statistics behind figures and verdict: pure functions of (n,) arrays, one value a seed."""

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.special import stdtrit

Values = npt.NDArray[np.float64]  # (n,)


@dataclass(frozen=True)
class Interval:
    """A confidence interval of a mean, in the unit of the values."""

    mean: float
    low: float
    high: float
    level: float  # such as 0.95


def t_interval(values: Values, level: float = 0.95) -> Interval:
    """Student's interval of the mean of (n,) values, n >= 2."""
    return sum_interval({"": values}, {"": 1.0}, level)


def sum_interval(
    samples: Mapping[str, Values],
    weights: Mapping[str, float],
    level: float = 0.95,
    resolution: float = 0.0,
) -> Interval:
    """Welch's interval of a weighted sum of the means of independent samples, n >= 2 each.

    The variances of the samples need not be equal: the degrees of freedom are Welch's and
    Satterthwaite's. `resolution` is the least standard deviation assumed; see `spread`.
    (Welch 1947, Biometrika 34.)
    """
    mean = sum(weight * float(np.mean(samples[key])) for key, weight in weights.items())
    variance, freedom = _variance(samples, weights, resolution)
    half = float(stdtrit(freedom, (1 + level) / 2)) * math.sqrt(variance)
    return Interval(mean, mean - half, mean + half, level)


def _variance(
    samples: Mapping[str, Values], weights: Mapping[str, float], resolution: float
) -> tuple[float, float]:
    """The variance of a weighted sum of means, and its degrees of freedom."""
    parts = {
        key: weight**2 * spread(samples[key], resolution) ** 2 / len(samples[key])
        for key, weight in weights.items()
    }
    variance = sum(parts.values())
    squares = sum(part**2 / (len(samples[key]) - 1) for key, part in parts.items())
    return variance, variance**2 / squares if squares else math.inf


def ratio_interval(
    samples: Mapping[str, Values],
    numerator: Mapping[str, float],
    denominator: Mapping[str, float],
    level: float = 0.95,
    resolution: float = 0.0,
) -> Interval | None:
    """Fieller's interval of a ratio of sums of means of independent samples, n >= 2 each.

    Both sums are given by the weight of each sample in them. Variances as in `sum_interval`. None
    if the denominator is not clearly different from 0: then the ratio may be anything. (Fieller
    1954, J. R. Statist. Soc. B 16.)
    """
    keys = {**numerator, **denominator}
    above, below = ({key: side.get(key, 0.0) for key in keys} for side in (numerator, denominator))
    means = {key: float(np.mean(samples[key])) for key in keys}
    a, b = (sum(side[key] * means[key] for key in keys) for side in (above, below))
    if b == 0:
        return None
    ratio = a / b
    rest = {key: above[key] - ratio * below[key] for key in keys}
    variance, freedom = _variance(samples, rest, resolution)
    if variance == 0:
        return Interval(ratio, ratio, ratio, level)
    square = float(stdtrit(freedom, (1 + level) / 2)) ** 2
    of_means = {key: spread(samples[key], resolution) ** 2 / len(samples[key]) for key in keys}
    # The ratios r with (a - r b)^2 <= square x variance of (a - r b).
    quadratic = b**2 - square * sum(below[key] ** 2 * of_means[key] for key in keys)
    linear = a * b - square * sum(above[key] * below[key] * of_means[key] for key in keys)
    constant = a**2 - square * sum(above[key] ** 2 * of_means[key] for key in keys)
    if quadratic <= 0:
        return None
    root = math.sqrt(max(0.0, linear**2 - quadratic * constant))
    return Interval(ratio, (linear - root) / quadratic, (linear + root) / quadratic, level)


def spread(values: Values, resolution: float) -> float:
    """The standard deviation of (n,) values, at least `resolution`; n >= 2.

    Errors are counts of images over their number. Near 0 a few seeds often agree to the image,
    by chance: a deviation of 0 would make that chance a certainty.
    """
    return max(float(np.std(values, ddof=1)), resolution)
