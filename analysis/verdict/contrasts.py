"""Differences between networks that the verdict is about, paired by seed."""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
import pandas as pd

from analysis.frames import select
from analysis.verdict import statistics
from analysis.verdict.statistics import Interval
from resnet_bench.datasets.definitions import DATASETS

ENDPOINT = "precise_train_error"  # the primary one, at the last iteration
TOLERANCE = 0.005  # half a point: an interval that ends below it counts as no degradation
Family = Literal["plain", "residual", "difference"]  # the last is plain - residual
Word = Literal["degrades", "does not degrade", "positive", "negative", "undecided"]


@dataclass(frozen=True)
class Lost:
    """A run without the final error that a contrast needs."""

    network: str
    seed: int
    why: str  # diverged, partial, missing or "finished without <endpoint>"

    @property
    def text(self) -> str:
        """ "plain-56 seed 1 diverged" """
        return f"{self.network} seed {self.seed} {self.why}"


@dataclass(frozen=True)
class Contrast:
    """A difference of final errors, one value a seed (same batches, same shared weights)."""

    family: Family
    shortcut: str  # of the deep and the shallow network; of a difference, of the residual ones
    shallow: int  # weighted layers
    deep: int
    endpoint: str
    primary: bool
    seeds: tuple[int, ...]
    values: tuple[float, ...]  # fractions, one a seed
    lost: tuple[Lost, ...]  # the runs whose seeds are left out
    resolution: float  # one image, as a fraction: a smaller spread of the values is not trusted
    interval: Interval | None = None  # None with fewer than two pairs
    p_value: float | None = None  # paired t, two-sided
    word: Word = "undecided"

    @property
    def kind(self) -> str:
        """ "plain", "option A" or, of a difference, "plain - option A" """
        option = f"option {self.shortcut}"
        return {"plain": "plain", "residual": option, "difference": f"plain - {option}"}[
            self.family
        ]

    @property
    def name(self) -> str:
        """ "plain: 56 - 20", or "plain - option A" of a difference"""
        return self.kind + (
            "" if self.family == "difference" else f": {self.deep} - {self.shallow}"
        )

    @property
    def n(self) -> int:
        return len(self.values)

    @property
    def mean(self) -> float | None:
        return float(np.mean(self.values)) if self.values else None

    @property
    def diverged(self) -> bool:
        return any(run.why == "diverged" for run in self.lost)


def lost_runs(contrasts: Iterable[Contrast]) -> list[str]:
    """The lost runs of all `contrasts` in words, sorted, each once."""
    return sorted({run.text for contrast in contrasts for run in contrast.lost})


def depth_pair(runs: pd.DataFrame) -> tuple[int, int] | None:
    """(shallow, deep): 20 and 56 if both are there, else the extremes; None for one depth."""
    depths = select.depths(runs)
    if len(depths) < 2:
        return None
    return (20, 56) if {20, 56} <= set(depths) else (depths[0], depths[-1])


def residual_kind(runs: pd.DataFrame) -> str:
    """The shortcut of the residual networks that plain ones are compared with: A if there is."""
    kinds = [shortcut for shortcut in select.shortcuts(runs) if shortcut != "none"]
    return "A" if "A" in kinds or not kinds else kinds[0]


def primary(frame: pd.DataFrame, alpha: float = 0.05) -> list[Contrast]:
    """The primary contrasts of a suite's grid networks; `frame` as from `load.runs`."""
    return primary_of(select.grid_networks(frame), alpha)


def primary_of(runs: pd.DataFrame, alpha: float = 0.05) -> list[Contrast]:
    """The three primary contrasts: deep - shallow for plain, for residual, and their difference.

    `runs`: rows of `load.runs` with one experiment for each depth and shortcut. Intervals are
    paired-t ones at the levels of Holm's procedure over the three. A contrast with a diverged run
    stays undecided: its remaining seeds are a biased sample. Empty for one depth.
    """
    pair = depth_pair(runs)
    if pair is None:
        return []
    kind = residual_kind(runs)
    families: tuple[tuple[Family, str], ...] = (
        ("plain", "none"), ("residual", kind), ("difference", kind)
    )  # fmt: skip
    found = [
        _contrast(family, shortcut, pair, True, runs, ENDPOINT) for family, shortcut in families
    ]
    tested = [contrast for contrast in found if contrast.n >= 2]
    p_values = [statistics.t_p_value(np.array(one.values), one.resolution) for one in tested]
    # A contrast without pairs keeps its share of alpha, so missing runs loosen no other level.
    levels = statistics.holm_levels(p_values + [1.0] * (len(found) - len(tested)), alpha)
    judged = {
        contrast.family: _judge(contrast, p_value, level)
        for contrast, p_value, level in zip(tested, p_values, levels, strict=False)
    }
    return [judged.get(contrast.family, contrast) for contrast in found]


def secondary(frame: pd.DataFrame) -> list[Contrast]:
    """Every other depth against the shallowest, each shortcut, training and test error.

    Exploratory: unadjusted 95% intervals, no verdicts.
    """
    runs = select.grid_networks(frame)
    pair = depth_pair(runs)
    if pair is None:
        return []
    shallow, deep = pair
    found = []
    for endpoint in (ENDPOINT, "test_error"):
        for shortcut in select.shortcuts(runs):
            family: Family = "plain" if shortcut == "none" else "residual"
            for depth in select.depths(runs):
                in_primary = shortcut in ("none", residual_kind(runs)) and depth == deep
                if depth <= shallow or (endpoint == ENDPOINT and in_primary):
                    continue
                contrast = _contrast(family, shortcut, (shallow, depth), False, runs, endpoint)
                found.append(_judge(contrast, None, 0.95) if contrast.n >= 2 else contrast)
    return [contrast for contrast in found if contrast.n]


def _contrast(
    family: Family,
    shortcut: str,
    depths: tuple[int, int],
    primary: bool,
    runs: pd.DataFrame,
    endpoint: str,
) -> Contrast:
    """The contrast at every seed at which all its networks have a final error, not judged yet."""
    shallow, deep = depths
    signs = {(shortcut, deep): 1, (shortcut, shallow): -1}
    if family == "difference":
        minus_residual = {network: -sign for network, sign in signs.items()}
        signs = {("none", deep): 1, ("none", shallow): -1} | minus_residual
    finals = select.finals(runs)
    lost: list[Lost] = []
    errors = {}
    for kind, depth in signs:
        of_network = finals[(finals["shortcut"] == kind) & (finals["depth"] == depth)]
        ended = (of_network["status"] == "finished") & of_network[endpoint].notna()
        errors[kind, depth] = of_network[ended].set_index("seed")[endpoint]
        why = of_network["status"].replace("finished", f"finished without {endpoint}")
        lost += map(Lost, of_network["network"][~ended], of_network["seed"][~ended], why[~ended])
    table = pd.DataFrame(errors).dropna()
    values = [
        sum(sign * row[network] for network, sign in signs.items()) for _, row in table.iterrows()
    ]
    return Contrast(
        family, shortcut, shallow, deep, endpoint, primary, tuple(table.index.tolist()),
        tuple(values), tuple(lost), _resolution(finals, endpoint),
    )  # fmt: skip


def _resolution(runs: pd.DataFrame, endpoint: str) -> float:
    """One image as a fraction of the largest set that any of the runs measures `endpoint` on."""
    counts = []
    for name, trained_on in zip(runs["dataset"], runs["recipe.train_images"], strict=True):
        dataset = DATASETS[name]
        if endpoint == "test_error":
            counts.append(dataset.test_images)
        else:
            counts.append(dataset.train_images if trained_on == "all" else int(trained_on))
    return 1 / max(counts)


def _judge(contrast: Contrast, p_value: float | None, level: float) -> Contrast:
    """The contrast with its interval; with a word if it is primary and no run diverged."""
    interval = statistics.t_interval(np.array(contrast.values), level, contrast.resolution)
    decided = contrast.primary and not contrast.diverged
    word = word_for(interval, contrast.family != "difference") if decided else contrast.word
    return replace(contrast, interval=interval, p_value=p_value, word=word)


def word_for(interval: Interval, of_one_family: bool) -> Word:
    """The verdict on an interval (fractions) of one family, or of the difference of both."""
    if interval.low > 0:
        return "degrades" if of_one_family else "positive"
    if of_one_family:
        return "does not degrade" if interval.high < TOLERANCE else "undecided"
    return "negative" if interval.high < 0 else "undecided"
