"""The statistics, against numbers worked by hand and against simulated truth."""

import math

import numpy as np
import pytest
from scipy.special import stdtrit

from analysis.verdict import statistics
from analysis.verdict.words import TOLERANCE, Word, word_for


def test_t_interval_by_hand() -> None:
    # mean 2, deviation 1, n = 3: 2 +- t(0.975; 2) / sqrt(3), and t(0.975; 2) = 4.302653
    interval = statistics.t_interval(np.array([1.0, 2.0, 3.0]))
    assert interval.mean == 2
    assert interval.high - 2 == pytest.approx(4.302653 / math.sqrt(3), rel=1e-6)
    assert 2 - interval.low == pytest.approx(interval.high - 2)
    # n = 2: the deviation of 0 and 1 is sqrt(1/2), t(0.975; 1) = 12.706205
    wide = statistics.t_interval(np.array([0.0, 1.0]))
    assert wide.high - wide.mean == pytest.approx(12.706205 / 2, rel=1e-6)


def test_welchs_interval_by_hand() -> None:
    """Of a - b: variances 1 / 3 and 4 / 2, degrees of freedom (7 / 3)^2 / (1 / 18 + 4)."""
    samples = {"a": np.array([1.0, 2.0, 3.0]), "b": np.array([0.0, 2.0]) * math.sqrt(2)}
    interval = statistics.sum_interval(samples, {"a": 1.0, "b": -1.0})
    freedom = (7 / 3) ** 2 / (1 / 18 + 4)
    half = float(stdtrit(freedom, 0.975)) * math.sqrt(7 / 3)
    assert interval.mean == pytest.approx(2 - math.sqrt(2))
    assert interval.high - interval.mean == pytest.approx(half)
    assert interval.mean - interval.low == pytest.approx(half)


def test_a_spread_is_at_least_the_resolution() -> None:
    """Equal errors count as 0.1 apart: 0.5 +- 4.302653 * 0.1 / sqrt(3)."""
    equal = {"a": np.full(3, 0.5)}
    interval = statistics.sum_interval(equal, {"a": 1.0}, resolution=0.1)
    assert interval.high - 0.5 == pytest.approx(0.4302653 / math.sqrt(3), rel=1e-6)
    apart = {"a": np.array([1.0, 2.0, 3.0])}  # further apart: as without
    assert statistics.sum_interval(apart, {"a": 1.0}, resolution=0.1) == statistics.t_interval(
        apart["a"]
    )
    sure = statistics.sum_interval(equal, {"a": 1.0})
    assert (sure.low, sure.high) == (0.5, 0.5)


@pytest.mark.parametrize(
    ("change", "above_tenth", "word"),
    [
        ((0.006, 0.009), None, "degrades"),
        ((0.001, 0.004), None, "rises"),
        ((-0.001, 0.004), None, "does not degrade"),
        ((-0.001, 0.006), None, "undecided"),
        ((0.001, 0.006), None, "undecided"),
        ((TOLERANCE, 0.02), None, "undecided"),  # an end that is on the edge is not beyond it
        ((0.0, 0.004), None, "does not degrade"),
        ((0.006, 0.009), (0.001, 0.004), "degrades"),  # above both margins
        ((0.006, 0.009), (-0.004, -0.001), "rises"),  # above half a point, below a tenth
        ((0.006, 0.009), (-0.001, 0.002), "undecided"),
        ((-0.01, 0.02), (-0.04, -0.01), "does not degrade"),
        ((0.001, 0.004), (0.001, 0.004), "rises"),  # above a tenth, below half a point
    ],
)
def test_words(
    change: tuple[float, float], above_tenth: tuple[float, float] | None, word: Word
) -> None:
    def interval(ends: tuple[float, float]) -> statistics.Interval:
        return statistics.Interval(sum(ends) / 2, *ends, 0.95)

    assert word_for(interval(change), above_tenth and interval(above_tenth)) == word


def test_fiellers_interval_by_hand() -> None:
    """Of means 1 and 100, each with variance 2 / 2: (1 - 100 r)^2 <= t^2 (1 + r^2)."""
    samples = {"a": np.array([0.0, 2.0]), "b": np.array([101.0, 99.0])}
    interval = statistics.ratio_interval(samples, {"a": 1.0}, {"b": 1.0})
    assert interval is not None
    assert interval.mean == pytest.approx(0.01)
    freedom = (1 + 0.01**2) ** 2 / (1 + 0.01**4)  # Welch's, with one degree for each sample
    square = float(stdtrit(freedom, 0.975)) ** 2
    for end in (interval.low, interval.high):
        assert (1 - 100 * end) ** 2 == pytest.approx(square * (1 + end**2))


def test_no_ratio_is_given_where_the_denominator_may_be_zero() -> None:
    samples = {"a": np.array([1.0, 2.0]), "b": np.array([-1.0, 1.5])}
    assert statistics.ratio_interval(samples, {"a": 1.0}, {"b": 1.0}) is None


def test_a_sample_in_both_sums_counts_once() -> None:
    """a / a is 1, whatever a is."""
    interval = statistics.ratio_interval({"a": np.array([1.0, 3.0])}, {"a": 1.0}, {"a": 1.0})
    assert interval is not None
    assert (interval.mean, interval.low, interval.high) == (1, 1, 1)


@pytest.mark.parametrize("seeds", [3, 6])
@pytest.mark.parametrize(("cured", "spread"), [(0.02, 0.005), (0.3, 0.1), (0.6, 0.05)])
def test_fiellers_interval_covers_the_true_share(seeds: int, cured: float, spread: float) -> None:
    """As with plain-20 and plain-56 on the digits: 2% and 68%, deviations 0.8 and 5.4 points."""
    random = np.random.default_rng(0)
    truths = {"shallow": (0.02, 0.005), "deep": (cured, spread)}
    truths |= {"control shallow": (0.02, 0.008), "control deep": (0.68, 0.054)}
    ratio = (cured - 0.02) / 0.66
    covered = 0
    for _ in range(1000):
        samples = {key: random.normal(mean, sd, seeds) for key, (mean, sd) in truths.items()}
        interval = statistics.ratio_interval(
            samples, {"deep": 1.0, "shallow": -1.0}, {"control deep": 1.0, "control shallow": -1.0}
        )
        covered += interval is not None and interval.low <= ratio <= interval.high
    assert 930 <= covered <= 1000  # 95% and four standard errors; Welch's is a little careful
