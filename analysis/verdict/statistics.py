"""The statistics behind figures and verdict: pure functions of (n,) arrays, one value a seed."""

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.special import stdtr, stdtrit

Values = npt.NDArray[np.float64]  # (n,)
EXACT_PAIRS = 20  # up to here all 2^n choices of signs are enumerated


@dataclass(frozen=True)
class Interval:
    """A confidence interval of a mean, in the unit of the values."""

    mean: float
    low: float
    high: float
    level: float  # such as 0.95


def t_interval(values: Values, level: float = 0.95, resolution: float = 0.0) -> Interval:
    """Student's interval of the mean of (n,) values, n >= 2; of differences, the paired-t one.

    `resolution` is the least standard deviation assumed; see `spread`.
    """
    n = len(values)
    mean = float(np.mean(values))
    quantile = float(stdtrit(n - 1, (1 + level) / 2))
    half = quantile * spread(values, resolution) / math.sqrt(n)
    return Interval(mean, mean - half, mean + half, level)


def ratio_interval(
    samples: Mapping[str, Values],
    numerator: Mapping[str, float],
    denominator: Mapping[str, float],
    level: float = 0.95,
    resolution: float = 0.0,
) -> Interval | None:
    """Fieller's interval of a ratio of sums of means of independent samples, n >= 2 each.

    Both sums are given by the weight of each sample in them. The variances of the samples need not
    be equal: the degrees of freedom are Welch's and Satterthwaite's. `resolution` is the least
    standard deviation assumed. None if the denominator is not clearly different from 0: then the
    ratio may be anything. (Fieller 1954, J. R. Statist. Soc. B 16.)
    """
    means = {key: float(np.mean(values)) for key, values in samples.items()}
    variances = {
        key: spread(values, resolution) ** 2 / len(values) for key, values in samples.items()
    }
    above = {key: numerator.get(key, 0.0) for key in samples}
    below = {key: denominator.get(key, 0.0) for key in samples}
    a = sum(above[key] * means[key] for key in samples)
    b = sum(below[key] * means[key] for key in samples)
    if b == 0:
        return None
    parts = {key: (above[key] - a / b * below[key]) ** 2 * variances[key] for key in samples}
    if sum(parts.values()) == 0:
        return Interval(a / b, a / b, a / b, level)
    squares = sum(part**2 / (len(samples[key]) - 1) for key, part in parts.items())
    square = float(stdtrit(sum(parts.values()) ** 2 / squares, (1 + level) / 2)) ** 2
    # The ratios r with (a - r b)^2 <= square x variance of (a - r b).
    quadratic = b**2 - square * sum(below[key] ** 2 * variances[key] for key in samples)
    linear = a * b - square * sum(above[key] * below[key] * variances[key] for key in samples)
    constant = a**2 - square * sum(above[key] ** 2 * variances[key] for key in samples)
    if quadratic <= 0:
        return None
    root = math.sqrt(max(0.0, linear**2 - quadratic * constant))
    return Interval(a / b, (linear - root) / quadratic, (linear + root) / quadratic, level)


def t_p_value(differences: Values, resolution: float = 0.0) -> float:
    """Two-sided p of the paired t-test that the mean of (n,) differences is 0; n >= 2."""
    n = len(differences)
    mean = float(np.mean(differences))
    error = spread(differences, resolution) / math.sqrt(n)
    if error == 0:
        return 1.0 if mean == 0 else 0.0
    return 2 * float(stdtr(n - 1, -abs(mean) / error))


def spread(values: Values, resolution: float) -> float:
    """The standard deviation of (n,) values, at least `resolution`; n >= 2.

    Errors are counts of images over their number. Near 0 a few seeds often agree to the image,
    by chance: a deviation of 0 would make that chance a certainty.
    """
    return max(float(np.std(values, ddof=1)), resolution)


def holm_levels(p_values: list[float], alpha: float = 0.05) -> list[float]:
    """The confidence level of each of m intervals after Holm's step-down procedure.

    The smallest p is compared with alpha/m, the next with alpha/(m-1), and so on; from the first
    that fails on, the rest keep its alpha. An interval at level 1 - (its alpha) then
    excludes 0 exactly where Holm's test rejects, so that the chance of any false "differs from
    0" is at most alpha. Each interval alone has a level of at least 1 - alpha; all of them
    together cover somewhat less often than that once some exclude 0.
    """
    levels = [0.0] * len(p_values)
    stopped = False
    share = alpha
    for rank, index in enumerate(np.argsort(p_values, kind="stable")):
        if not stopped:
            share = alpha / (len(p_values) - rank)
        levels[index] = 1 - share
        stopped = stopped or p_values[index] > share
    return levels


def sign_flip_p_value(differences: Values) -> float:
    """One-sided p of the sign-flip test that the mean of (n,) differences is above 0.

    The share of all 2^n choices of signs whose sum is at least the observed one. Its only
    assumption is that either sign of a difference is equally likely. Exact up to 20 pairs; above,
    choices are drawn with a fixed seed, as many as take no longer: 2^20 * 20 / n.
    """
    n = len(differences)
    sums = np.zeros(1)
    if n <= EXACT_PAIRS:
        for difference in differences:
            sums = np.concatenate([sums + difference, sums - difference])
    else:
        random = np.random.default_rng(0)
        sums = np.zeros(2**EXACT_PAIRS * EXACT_PAIRS // n)
        sums[0] = np.sum(differences)  # the observed choice is one of them, so p is never 0
        for difference in differences:
            sums[1:] += difference * random.choice((-1.0, 1.0), len(sums) - 1)
    observed = float(np.sum(differences))
    return float(np.mean(sums >= observed - 1e-12 * max(1.0, abs(observed))))


def sign_flip_floor(n: int) -> float:
    """The smallest one-sided p that the exact sign-flip test can give with n pairs."""
    return 0.5**n
