"""The statistics, against numbers worked by hand and against simulated truth."""

import math

import numpy as np
import pytest
from scipy.special import stdtrit

from analysis.verdict import statistics
from analysis.verdict.contrasts import TOLERANCE, Word, word_for


def test_t_interval_by_hand() -> None:
    # mean 2, deviation 1, n = 3: 2 +- t(0.975; 2) / sqrt(3), and t(0.975; 2) = 4.302653
    interval = statistics.t_interval(np.array([1.0, 2.0, 3.0]))
    assert interval.mean == 2
    assert interval.high - 2 == pytest.approx(4.302653 / math.sqrt(3), rel=1e-6)
    assert 2 - interval.low == pytest.approx(interval.high - 2)
    # n = 2: the deviation of 0 and 1 is sqrt(1/2), t(0.975; 1) = 12.706205
    wide = statistics.t_interval(np.array([0.0, 1.0]))
    assert wide.high - wide.mean == pytest.approx(12.706205 / 2, rel=1e-6)


def test_t_p_value_by_hand() -> None:
    # With 2 degrees of freedom p = 1 - t / sqrt(2 + t^2); here t = 2 sqrt(3).
    p = statistics.t_p_value(np.array([1.0, 2.0, 3.0]))
    assert p == pytest.approx(1 - math.sqrt(12 / 14))
    assert statistics.t_p_value(np.array([-1.0, -2.0, -3.0])) == pytest.approx(p)


def test_equal_differences() -> None:
    assert statistics.t_p_value(np.zeros(3)) == 1
    assert statistics.t_p_value(np.full(3, 0.5)) == 0
    interval = statistics.t_interval(np.full(3, 0.5))
    assert (interval.low, interval.high) == (0.5, 0.5)


def test_a_spread_is_at_least_the_resolution() -> None:
    """Equal differences count as 0.1 apart: 0.5 +- 4.302653 * 0.1 / sqrt(3)."""
    interval = statistics.t_interval(np.full(3, 0.5), resolution=0.1)
    assert interval.high - 0.5 == pytest.approx(0.4302653 / math.sqrt(3), rel=1e-6)
    t = 0.5 / (0.1 / math.sqrt(3))
    p = statistics.t_p_value(np.full(3, 0.5), resolution=0.1)
    assert p == pytest.approx(1 - t / math.sqrt(2 + t * t))
    values = np.array([1.0, 2.0, 3.0])  # further apart: as without
    assert statistics.t_interval(values, resolution=0.1) == statistics.t_interval(values)


@pytest.mark.parametrize(
    ("p_values", "alphas"),
    [
        ([0.5, 0.6, 0.7], [0.05 / 3] * 3),  # the first fails: all at its level
        ([0.01, 0.04, 0.03], [0.05 / 3, 0.05 / 2, 0.05 / 2]),  # 0.03 > 0.025 stops
        ([0.03, 0.001, 0.002], [0.05, 0.05 / 3, 0.05 / 2]),  # all reject
        ([0.016], [0.05]),
    ],
)
def test_holm_levels_by_hand(p_values: list[float], alphas: list[float]) -> None:
    levels = statistics.holm_levels(p_values)
    assert levels == pytest.approx([1 - alpha for alpha in alphas])


def test_sign_flips_by_hand() -> None:
    # Of the eight sums of +-1 +-2 +-3 only 6 reaches 6; 4 and 6 reach 4.
    assert statistics.sign_flip_p_value(np.array([1.0, 2.0, 3.0])) == 1 / 8
    assert statistics.sign_flip_p_value(np.array([-1.0, 2.0, 3.0])) == 2 / 8
    assert statistics.sign_flip_p_value(np.array([-1.0, -2.0, -3.0])) == 1
    assert statistics.sign_flip_p_value(np.array([0.1, 0.1, 0.1])) == 1 / 8  # no rounding slips


def test_sign_flips_of_many_pairs_are_drawn() -> None:
    """30 pairs have 2^30 choices of signs; for normal differences p is near that of the t-test."""
    values = 0.3 + np.random.default_rng(1).standard_normal(30)
    p = statistics.sign_flip_p_value(values)
    assert p == pytest.approx(statistics.t_p_value(values) / 2, abs=0.005)
    assert statistics.sign_flip_p_value(values) == p
    assert statistics.sign_flip_p_value(np.arange(1.0, 31.0)) == 2.0**-20  # never 0


def test_the_floors_of_the_sign_flip_test() -> None:
    assert statistics.sign_flip_floor(5) == 0.03125
    assert statistics.sign_flip_floor(3) == 0.125
    rising = np.arange(1.0, 6.0)
    assert statistics.sign_flip_p_value(rising) == statistics.sign_flip_floor(5)


@pytest.mark.parametrize(
    ("low", "high", "of_one_family", "word"),
    [
        (0.001, 0.004, True, "degrades"),  # small but sure
        (-0.001, 0.004, True, "does not degrade"),
        (-0.001, 0.006, True, "undecided"),
        (0.001, 0.02, False, "positive"),
        (-0.02, -0.001, False, "negative"),
        (-0.001, 0.001, False, "undecided"),
        (0.0, 0.004, True, "does not degrade"),  # an end that is on the edge is not beyond it
        (-0.001, TOLERANCE, True, "undecided"),
        (0.0, 0.02, False, "undecided"),
        (-0.02, 0.0, False, "undecided"),
    ],
)
def test_words(low: float, high: float, of_one_family: bool, word: Word) -> None:
    interval = statistics.Interval((low + high) / 2, low, high, 0.95)
    assert word_for(interval, of_one_family) == word


def simulate(plain: float, residual: float, n: int, repeats: int = 2000) -> tuple[float, float]:
    """(lowest coverage of the three intervals, share of repeats with any wrong word).

    `plain`, `residual`: the true differences of deep and shallow networks, whose seeds scatter
    normally around them.
    """
    random = np.random.default_rng(0)
    truths = (plain, residual, plain - residual)
    covered, wrong = np.zeros(3), 0
    for _ in range(repeats):
        of_plain = plain + 0.004 * random.standard_normal(n)
        of_residual = residual + 0.002 * random.standard_normal(n)
        values = (of_plain, of_residual, of_plain - of_residual)
        levels = statistics.holm_levels([statistics.t_p_value(each) for each in values])
        intervals = [statistics.t_interval(*pair) for pair in zip(values, levels, strict=True)]
        covered += [
            each.low <= truth <= each.high for each, truth in zip(intervals, truths, strict=True)
        ]
        words = [word_for(each, place < 2) for place, each in enumerate(intervals)]
        wrong += any(is_wrong(word, truth) for word, truth in zip(words, truths, strict=True))
    return float(covered.min() / repeats), wrong / repeats


def is_wrong(word: Word, truth: float) -> bool:
    return {
        "degrades": truth <= 0,
        "positive": truth <= 0,
        "negative": truth >= 0,
        "does not degrade": truth >= TOLERANCE,
        "undecided": False,
    }[word]


@pytest.mark.parametrize(
    ("plain", "residual", "n"),
    [
        (0.0, 0.0, 3),  # no effect at all
        (0.0, 0.0, 5),
        (0.5, 0.0, 3),  # what the paper says
        (0.5, 0.0, 5),
        (0.5, TOLERANCE, 5),  # the residual network degrades by what just counts
        (0.5, 0.5, 5),  # both degrade alike
        (TOLERANCE, TOLERANCE, 5),
    ],
)
def test_intervals_cover_and_words_are_seldom_wrong(plain: float, residual: float, n: int) -> None:
    coverage, wrong = simulate(plain, residual, n)
    slack = 3 * math.sqrt(0.05 * 0.95 / 2000)  # three standard errors of the simulation
    assert coverage > 0.95 - slack
    assert wrong < 0.05 + slack


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
