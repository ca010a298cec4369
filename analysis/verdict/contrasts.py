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
        if self.family == "plain":
            return "plain"
        return f"{'plain - ' if self.family == 'difference' else ''}option {self.shortcut}"

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


def primary(frame: pd.DataFrame, alpha: float = 0.05) -> list[Contrast]:
    """The primary contrasts of a suite's grid networks; `frame` as from `load.runs`."""
    return primary_of(select.grid_networks(frame), alpha)


def primary_of(runs: pd.DataFrame, alpha: float = 0.05) -> list[Contrast]:
    """The three primary contrasts: deep - shallow for plain, for residual, and their difference.

    `runs`: rows of `load.runs` with one experiment for each depth and shortcut. Intervals are
    paired-t ones at the levels of Holm's procedure over the three. A contrast with a diverged run
    stays undecided: its remaining seeds are a biased sample. Empty for one depth.
    """
    pair = select.depth_pair(runs)
    if pair is None:
        return []
    kind = select.residual_kind(runs)
    families: tuple[tuple[Family, str], ...] = (
        ("plain", "none"), ("residual", kind), ("difference", kind)
    )  # fmt: skip
    found = [_contrast(family, shortcut, pair, runs) for family, shortcut in families]
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
    pair = select.depth_pair(runs)
    if pair is None:
        return []
    shallow, deep = pair
    found = []
    for endpoint in (ENDPOINT, "test_error"):
        for shortcut in select.shortcuts(runs):
            family: Family = "plain" if shortcut == "none" else "residual"
            for depth in select.depths(runs):
                in_primary = shortcut in ("none", select.residual_kind(runs)) and depth == deep
                if depth <= shallow or (endpoint == ENDPOINT and in_primary):
                    continue
                contrast = _contrast(family, shortcut, (shallow, depth), runs, endpoint, False)
                found.append(_judge(contrast, None, 0.95) if contrast.n >= 2 else contrast)
    return [contrast for contrast in found if contrast.n]


def _contrast(
    family: Family,
    shortcut: str,
    depths: tuple[int, int],
    runs: pd.DataFrame,
    endpoint: str = ENDPOINT,
    primary: bool = True,
) -> Contrast:
    """The contrast at every seed at which all its networks have a final error, not judged yet."""
    shallow, deep = depths
    signs = {(shortcut, deep): 1, (shortcut, shallow): -1}
    if family == "difference":
        minus_residual = {network: -sign for network, sign in signs.items()}
        signs = {("none", deep): 1, ("none", shallow): -1} | minus_residual
    finals = select.finals(runs)
    ended = (finals["status"] == "finished") & finals[endpoint].notna()
    lost, errors = [], {}
    for network in signs:
        is_its = (finals["shortcut"] == network[0]) & (finals["depth"] == network[1])
        errors[network] = finals[is_its & ended].set_index("seed")[endpoint]
        for run in finals[is_its & ~ended].to_dict("records"):
            why = run["status"].replace("finished", f"finished without {endpoint}")
            lost.append(Lost(run["network"], run["seed"], why))
    table = pd.DataFrame(errors).dropna()
    changes = (sign * table[network] for network, sign in signs.items())
    values = sum(changes, start=pd.Series(0.0, table.index))
    return Contrast(
        family, shortcut, shallow, deep, endpoint, primary, tuple(table.index.tolist()),
        tuple(values.tolist()), tuple(lost), _resolution(finals, endpoint),
    )  # fmt: skip


def _resolution(runs: pd.DataFrame, endpoint: str) -> float:
    """One image as a fraction of the largest set that any of the runs measures `endpoint` on."""
    sets = runs["dataset"].map(DATASETS)
    if endpoint == "test_error":
        return 1 / max(dataset.test_images for dataset in sets)
    trained_on = zip(sets, runs["recipe.train_images"], strict=True)
    return 1 / max(dataset.train_images if n == "all" else int(n) for dataset, n in trained_on)


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
