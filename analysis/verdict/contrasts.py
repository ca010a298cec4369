"""What depth does to the errors of plain and of residual networks: what the verdict is about."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Literal

import pandas as pd

from analysis.frames import select
from analysis.verdict import samples
from analysis.verdict.samples import Sample, share_removed
from analysis.verdict.statistics import Interval
from analysis.verdict.words import TENTH, Word, word_for
from resnet_bench.datasets.definitions import DATASETS

ENDPOINT = "precise_train_error"  # the primary one, at the last iteration
LEVEL = 0.975  # of each of two families: both hold together with 95%
Family = Literal["plain", "residual"]


@dataclass(frozen=True)
class Lost:
    """A run without the final error that a contrast needs."""

    network: str
    seed: int
    why: str  # partial, missing, damaged or "finished without <endpoint>"

    @property
    def text(self) -> str:
        """ "plain-56 seed 1 missing" """
        return f"{self.network} seed {self.seed} {self.why}"


@dataclass(frozen=True)
class Contrast:
    """The mean final error of a deep network minus that of a shallow one of the same shortcut."""

    family: Family
    shortcut: str
    endpoint: str
    shallow: int  # weighted layers
    deep: int
    samples: Mapping[str, Sample]  # of both networks, by `key`
    lost: tuple[Lost, ...]
    interval: Interval | None = None  # None with a network of fewer than two ended runs
    word: Word | None = None  # None of a secondary contrast
    removed: Interval | None = None  # the share of plain's degradation that the shortcuts remove

    @property
    def kind(self) -> str:
        """ "plain" or "option A" """
        return "plain" if self.family == "plain" else f"option {self.shortcut}"

    @property
    def name(self) -> str:
        """ "plain: 56 - 20" """
        return f"{self.kind}: {self.deep} - {self.shallow}"

    @property
    def weights(self) -> dict[str, float]:
        """What is subtracted from what."""
        return {key(self.shortcut, self.deep): 1.0, key(self.shortcut, self.shallow): -1.0}

    @property
    def counts(self) -> list[int]:
        """The numbers of ended runs of both networks, the smaller first."""
        return sorted(map(len, self.samples.values()))

    @property
    def mean(self) -> float | None:
        """None if a network has no ended run."""
        if not self.counts[0]:
            return None
        return float(sum(w * self.samples[key].errors.mean() for key, w in self.weights.items()))


def key(shortcut: str, depth: int) -> str:
    """ "plain-56" or "resnet-56-A" """
    return f"plain-{depth}" if shortcut == "none" else f"resnet-{depth}-{shortcut}"


def primary(frame: pd.DataFrame, level: float = LEVEL) -> list[Contrast]:
    """The primary contrasts of a suite's grid networks; `frame` as from `load.runs`."""
    return primary_of(select.grid_networks(frame), level)


def primary_of(runs: pd.DataFrame, level: float = LEVEL) -> list[Contrast]:
    """Deep - shallow of plain and of residual networks, each with a word; empty for one depth.

    `runs`: rows of `load.runs` with one experiment for each depth and shortcut. Neither contrast
    depends on how many runs the other one has lost, but for the margin.
    """
    pair = select.depth_pair(runs)
    if pair is None:
        return []
    plain = _contrast("plain", "none", pair, runs, ENDPOINT)
    residual = _contrast("residual", select.residual_kind(runs), pair, runs, ENDPOINT)
    resolution = _resolution(runs, ENDPOINT)
    return [judged(one, plain, level, resolution) for one in (plain, residual)]


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
        resolution = _resolution(runs, endpoint)
        for shortcut in select.shortcuts(runs):
            family: Family = "plain" if shortcut == "none" else "residual"
            for depth in select.depths(runs):
                in_primary = shortcut in ("none", select.residual_kind(runs)) and depth == deep
                if depth <= shallow or (endpoint == ENDPOINT and in_primary):
                    continue
                contrast = _contrast(family, shortcut, (shallow, depth), runs, endpoint)
                found.append(_with_interval(contrast, 0.95, resolution))
    return [contrast for contrast in found if contrast.counts[0]]


def lost_runs(contrasts: Iterable[Contrast]) -> list[str]:
    """The lost runs of all `contrasts` in words, sorted, each once."""
    return sorted({run.text for contrast in contrasts for run in contrast.lost})


def _contrast(
    family: Family, shortcut: str, depths: tuple[int, int], runs: pd.DataFrame, endpoint: str
) -> Contrast:
    """The contrast without its interval."""
    finals = select.finals(runs)
    finals = finals[finals["shortcut"] == shortcut]
    of_networks = {
        key(shortcut, depth): Sample.of(finals[finals["depth"] == depth], endpoint)
        for depth in depths
    }
    ended = (finals["status"] == "finished") & finals[endpoint].notna()
    without = finals[finals["depth"].isin(depths) & ~ended & (finals["status"] != "diverged")]
    lost = []
    for run in without.to_dict("records"):
        why = run["status"].replace("finished", f"finished without {endpoint}")
        lost.append(Lost(run["network"], run["seed"], why))
    return Contrast(family, shortcut, endpoint, *depths, of_networks, tuple(lost))


def _with_interval(contrast: Contrast, level: float, resolution: float) -> Contrast:
    """Errors lie in [0, 1], so the interval is cut at -1 and 1."""
    found = samples.interval(contrast.samples, contrast.weights, level, resolution)
    if found is None:
        return contrast
    return replace(
        contrast, interval=replace(found, low=max(found.low, -1.0), high=min(found.high, 1.0))
    )


def judged(contrast: Contrast, plain: Contrast, level: float, resolution: float) -> Contrast:
    """The contrast with its interval, its word and, of residual networks, the share removed."""
    contrast = _with_interval(contrast, level, resolution)
    if contrast.interval is None:
        return replace(contrast, word="undecided")
    both = {**plain.samples, **contrast.samples}
    weights = dict(contrast.weights)
    for network, weight in plain.weights.items():
        weights[network] = weights.get(network, 0.0) - TENTH * weight
    above_tenth = samples.interval(both, weights, level, resolution)
    removed = None
    some_diverged = any(one.diverged and one.finished for one in both.values())
    if contrast.family == "residual" and not some_diverged:
        removed = share_removed(both, contrast.weights, plain.weights, level, resolution)
    return replace(contrast, word=word_for(contrast.interval, above_tenth), removed=removed)


def _resolution(runs: pd.DataFrame, endpoint: str) -> float:
    """One image as a fraction of the largest set that any of the runs measures `endpoint` on."""
    sets = runs["dataset"].map(DATASETS)
    if endpoint == "test_error":
        return 1 / max(dataset.test_images for dataset in sets)
    trained_on = zip(sets, runs["recipe.train_images"], strict=True)
    return 1 / max(dataset.train_images if n == "all" else int(n) for dataset, n in trained_on)
