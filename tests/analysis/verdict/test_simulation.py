"""How often intervals cover and words are right, in simulated studies whose truth is known.

Errors are drawn from normal distributions (mean, deviation, in per cent) at these truths, with n
seeds a network. Nominal coverage is 97.5% for each family. `python -m
tests.analysis.verdict.test_simulation` prints the table of results/reference/predictions.md.
"""

import functools
from collections import Counter
from dataclasses import dataclass

import numpy as np
import pytest

from analysis.verdict.contrasts import ENDPOINT, LEVEL, Contrast, judged, key
from analysis.verdict.samples import Sample

STUDIES = 300
SLACK = 3 * (0.025 * 0.975 / STUDIES) ** 0.5  # three standard errors of a coverage of 97.5%


@dataclass(frozen=True)
class Truth:
    """Mean and deviation of the final errors, in per cent."""

    plain_20: tuple[float, float] = (1.0, 0.2)  # as in public repeats of the paper
    plain_56: tuple[float, float] = (4.0, 0.9)
    residual_20: tuple[float, float] = (0.5, 0.1)
    residual_56: tuple[float, float] = (0.3, 0.1)
    plain_56_diverges: float = 0.0  # with this probability

    def changes(self) -> tuple[float, float]:
        """The true changes of plain and residual networks, fractions."""
        deep = (1 - self.plain_56_diverges) * self.plain_56[0] + 90 * self.plain_56_diverges
        residual = self.residual_56[0] - self.residual_20[0]
        return (deep - self.plain_20[0]) / 100, residual / 100


PAPER = Truth()
RISING = Truth(residual_56=(0.75, 0.1))  # by a quarter of a point
AT_MARGIN = Truth(residual_56=(1.0, 0.2))
SHORT = Truth((29.1, 0.5), (62.7, 2.2), (25.3, 0.95), (26.1, 0.83))  # as cifar10-short
SHORT_AT_MARGIN = Truth((29.1, 0.5), (62.7, 2.2), (25.3, 0.95), (28.66, 0.83))
NOTHING = Truth((2.0, 0.3), (2.0, 0.3), (2.0, 0.3), (2.0, 0.3))
DIVERGING = Truth(plain_56_diverges=0.05)


def study(random: np.random.Generator, truth: Truth, n: int) -> tuple[Contrast, Contrast]:
    def sample(mean: float, deviation: float, diverges: float = 0.0) -> Sample:
        errors = np.abs(random.normal(mean, deviation, n)) / 100
        lost = np.flatnonzero(random.random(n) < diverges)
        finished = {seed: float(errors[seed]) for seed in range(n) if seed not in lost}
        return Sample(finished, tuple(lost), 0.9)

    plain = {
        key("none", 20): sample(*truth.plain_20),
        key("none", 56): sample(*truth.plain_56, truth.plain_56_diverges),
    }
    residual = {key("A", 20): sample(*truth.residual_20), key("A", 56): sample(*truth.residual_56)}
    of_plain = Contrast("plain", "none", ENDPOINT, 20, 56, plain, ())
    of_residual = Contrast("residual", "A", ENDPOINT, 20, 56, residual, ())
    image = 1 / 50_000
    return judged(of_plain, of_plain, LEVEL, image), judged(of_residual, of_plain, LEVEL, image)


@functools.cache
def studies(truth: Truth, n: int, number: int = STUDIES) -> list[tuple[Contrast, Contrast]]:
    random = np.random.default_rng(0)
    return [study(random, truth, n) for _ in range(number)]


def coverage(found: list[tuple[Contrast, Contrast]], truth: Truth) -> list[float]:
    """How often the intervals of plain, of residual and, where there is one, of the share cover."""
    plain, residual = truth.changes()
    truths = (plain, residual, 1 - residual / plain if plain else np.nan)
    intervals = [(one.interval, other.interval, other.removed) for one, other in found]
    return [
        float(np.mean([each.low <= true <= each.high for each in of_kind if each]))
        for true, of_kind in zip(truths, zip(*intervals, strict=True), strict=True)
    ]


def words(found: list[tuple[Contrast, Contrast]], family: int) -> dict[str | None, float]:
    """How often each word is given, a fraction; the most frequent first."""
    counts = Counter(pair[family].word for pair in found)
    return {word: count / len(found) for word, count in counts.most_common()}


@pytest.mark.parametrize("n", [3, 5, 20])
@pytest.mark.parametrize("truth", [PAPER, AT_MARGIN, SHORT, NOTHING])
def test_intervals_cover_the_truth(truth: Truth, n: int) -> None:
    found = studies(truth, n)
    plain, residual, share = coverage(found, truth)
    assert min(plain, residual) > LEVEL - SLACK
    if truth == NOTHING:  # there is no degradation to remove a share of
        assert sum(other.removed is not None for _, other in found) < 0.05 * STUDIES
    else:
        assert share > LEVEL - SLACK


@pytest.mark.parametrize("n", [3, 5, 20])
@pytest.mark.parametrize(
    ("truth", "family", "wrong"),
    [
        (NOTHING, 0, {"degrades"}),
        (NOTHING, 1, {"degrades"}),
        (AT_MARGIN, 1, {"degrades", "does not degrade", "rises"}),
        (SHORT_AT_MARGIN, 1, {"degrades", "does not degrade", "rises"}),
        (RISING, 1, {"degrades"}),
        (DIVERGING, 0, {"rises", "does not degrade"}),
    ],
)
def test_words_are_seldom_wrong(truth: Truth, family: int, wrong: set[str], n: int) -> None:
    """At a margin neither side is right: what is beyond it either way counts as wrong."""
    given = words(studies(truth, n), family)
    assert sum(given.get(word, 0.0) for word in wrong) < 1 - LEVEL + SLACK


@pytest.mark.parametrize(
    ("truth", "family", "n", "word", "power"),
    [
        (PAPER, 0, 5, "degrades", 0.9),
        (PAPER, 1, 5, "does not degrade", 0.95),
        (SHORT, 0, 3, "degrades", 0.99),
        (RISING, 1, 10, "rises", 0.9),  # and not "degrades" beside "does not degrade"
        (DIVERGING, 0, 20, "degrades", 0.99),  # more seeds, more decisions
    ],
)
def test_enough_seeds_decide(truth: Truth, family: int, n: int, word: str, power: float) -> None:
    assert words(studies(truth, n), family).get(word, 0.0) >= power


def test_networks_that_all_diverge_degrade_and_the_others_keep_their_verdict() -> None:
    plain, residual = study(np.random.default_rng(0), Truth(plain_56_diverges=1.0), 6)
    assert (plain.word, residual.word) == ("degrades", "does not degrade")
    assert residual.removed is not None


def main() -> None:
    truths = {
        "as above": PAPER,
        "ResNet-56 0.75 ± 0.1%: a quarter of a point more": RISING,
        "ResNet-56 1.0 ± 0.2%: at the margin": AT_MARGIN,
        "as `cifar10-short`": SHORT,
        "depth changes nothing": NOTHING,
        "5% of the plain-56 diverge": DIVERGING,
    }
    for name, truth in truths.items():
        for n in (3, 5, 10, 20):
            found = studies(truth, n, 1000)
            covered = [f"{100 * share:.1f}" for share in coverage(found, truth)]
            given = [
                ", ".join(f"{word} {100 * often:.0f}%" for word, often in words(found, k).items())
                for k in (0, 1)
            ]
            print("|", " | ".join([name, str(n), *covered, *given]), "|")


if __name__ == "__main__":
    main()
