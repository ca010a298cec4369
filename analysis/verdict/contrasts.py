"""Differences between networks that the verdict is about, paired by seed."""

from dataclasses import dataclass
from typing import Literal

import numpy as np
import pandas as pd

from analysis.frames import select
from analysis.verdict import statistics
from analysis.verdict.statistics import Interval
from resnet_bench.datasets.definitions import DATASETS

ENDPOINT = "precise_train_error"  # the primary one, at the last iteration
TOLERANCE = 0.005  # half a point: what may rise by less, as far as is known, does not degrade
Word = Literal["degrades", "does not degrade", "positive", "negative", "undecided"]


@dataclass(frozen=True)
class Contrast:
    """A difference of final errors, one value a seed (same batches, same shared weights)."""

    name: str  # "plain: 56 - 20"
    endpoint: str
    primary: bool
    seeds: tuple[int, ...]
    values: tuple[float, ...]  # fractions, one a seed
    lost: tuple[str, ...]  # the runs that keep a seed out, "plain-56 seed 1 diverged"
    resolution: float  # one image: the least spread of the values that is taken for real
    interval: Interval | None = None  # None with fewer than two pairs
    p_value: float | None = None  # paired t, two-sided
    word: Word = "undecided"

    @property
    def n(self) -> int:
        return len(self.values)

    @property
    def mean(self) -> float | None:
        return float(np.mean(self.values)) if self.values else None

    @property
    def diverged(self) -> bool:
        return any(reason.endswith("diverged") for reason in self.lost)


def depth_pair(runs: pd.DataFrame) -> tuple[int, int] | None:
    """(shallow, deep): 20 and 56 as the protocol has it, else the extremes; None for one depth."""
    depths = select.depths(runs)
    if len(depths) < 2:
        return None
    return (20, 56) if {20, 56} <= set(depths) else (depths[0], depths[-1])


def residual_kind(runs: pd.DataFrame) -> str:
    """The residual networks that plain ones are compared with: option A, or what there is."""
    kinds = [shortcut for shortcut in select.shortcuts(runs) if shortcut != "none"]
    return "A" if "A" in kinds or not kinds else kinds[0]


def primary(frame: pd.DataFrame, alpha: float = 0.05) -> list[Contrast]:
    """The primary contrasts of a suite's own networks; `frame` as from `load.runs`."""
    return primary_of(select.grid_networks(frame), alpha)


def primary_of(runs: pd.DataFrame, alpha: float = 0.05) -> list[Contrast]:
    """The three primary contrasts: deep - shallow for plain, for residual, and their difference.

    `runs`: rows of `load.runs` with one experiment for each depth and shortcut. Intervals are
    paired-t ones at the levels of Holm's procedure over the three. Where a run of a contrast
    diverged it stays undecided: the seeds that are left are the lucky ones. Empty for one depth.
    """
    pair = depth_pair(runs)
    if pair is None:
        return []
    shallow, deep = pair
    ended = Ended.of(runs, ENDPOINT)
    span, kind = f"{deep} - {shallow}", residual_kind(runs)
    terms = {
        f"plain: {span}": {("none", deep): 1, ("none", shallow): -1},
        f"option {kind}: {span}": {(kind, deep): 1, (kind, shallow): -1},
        f"plain - option {kind}": {
            ("none", deep): 1, ("none", shallow): -1, (kind, deep): -1, (kind, shallow): 1,
        },
    }  # fmt: skip
    found = [_contrast(name, True, of, ended) for name, of in terms.items()]
    tested = [contrast for contrast in found if contrast.n >= 2]
    p_values = [statistics.t_p_value(np.array(one.values), one.resolution) for one in tested]
    # A contrast without pairs still takes its share of alpha: nothing is gained by missing runs.
    levels = statistics.holm_levels(p_values + [1.0] * (len(found) - len(tested)), alpha)
    judged = {
        contrast.name: _judge(contrast, p, level)
        for contrast, p, level in zip(tested, p_values, levels, strict=False)
    }
    return [judged.get(contrast.name, contrast) for contrast in found]


def secondary(frame: pd.DataFrame) -> list[Contrast]:
    """Every other depth against the shallowest, each shortcut, training and test error.

    Unadjusted 95% intervals and no verdicts: for looking, not for deciding.
    """
    runs = select.grid_networks(frame)
    pair = depth_pair(runs)
    if pair is None:
        return []
    shallow, deep = pair
    found = []
    for endpoint in (ENDPOINT, "test_error"):
        ended = Ended.of(runs, endpoint)
        for shortcut in select.shortcuts(runs):
            for depth in select.depths(runs):
                in_primary = shortcut in ("none", residual_kind(runs)) and depth == deep
                is_primary = endpoint == ENDPOINT and in_primary
                if depth <= shallow or is_primary:
                    continue
                kind = "plain" if shortcut == "none" else f"option {shortcut}"
                terms = {(shortcut, depth): 1, (shortcut, shallow): -1}
                name = f"{kind}: {depth} - {shallow}"
                contrast = _contrast(name, False, terms, ended)
                found.append(_judge(contrast, None, 0.95) if contrast.n >= 2 else contrast)
    return [contrast for contrast in found if contrast.n]


Cell = tuple[str, int]  # (shortcut, depth)


@dataclass(frozen=True)
class Ended:
    """How the runs of each cell ended, by seed."""

    endpoint: str
    errors: dict[Cell, dict[int, float]]  # of finished runs
    fates: dict[Cell, dict[int, str]]  # of the others, "plain-56 seed 1 diverged"
    resolution: float  # one image, as a fraction of those that the endpoint is measured on

    @classmethod
    def of(cls, runs: pd.DataFrame, endpoint: str) -> "Ended":
        errors: dict[Cell, dict[int, float]] = {}
        fates: dict[Cell, dict[int, str]] = {}
        finals = select.finals(runs)
        for run in finals.to_dict("records"):
            key = (run["shortcut"], run["depth"])
            if run["status"] == "finished" and not pd.isna(run[endpoint]):
                errors.setdefault(key, {})[run["seed"]] = run[endpoint]
            else:
                unmeasured = " without " + endpoint if run["status"] == "finished" else ""
                fate = f"{run['network']} seed {run['seed']} {run['status']}{unmeasured}"
                fates.setdefault(key, {})[run["seed"]] = fate
        return cls(endpoint, errors, fates, _resolution(finals, endpoint))


def _resolution(runs: pd.DataFrame, endpoint: str) -> float:
    """One image as a fraction: of the most that any of the runs measures `endpoint` on."""
    counts = []
    for name, trained_on in zip(runs["dataset"], runs["recipe.train_images"], strict=True):
        dataset = DATASETS[name]
        if endpoint == "test_error":
            counts.append(dataset.test_images)
        else:
            counts.append(dataset.train_images if trained_on == "all" else int(trained_on))
    return 1 / max(counts)


def _contrast(name: str, primary: bool, terms: dict[Cell, int], ended: Ended) -> Contrast:
    """The sum of the terms' final errors with their signs, at every seed that has them all."""
    errors = ended.errors
    shared = set.intersection(*(set(errors.get(key, {})) for key in terms))
    seeds = tuple(sorted(shared))
    values = tuple(sum(sign * errors[key][seed] for key, sign in terms.items()) for seed in seeds)
    lost = tuple(fate for key in terms for fate in ended.fates.get(key, {}).values())
    return Contrast(name, ended.endpoint, primary, seeds, values, lost, ended.resolution)


def _judge(contrast: Contrast, p_value: float | None, level: float) -> Contrast:
    interval = statistics.t_interval(np.array(contrast.values), level, contrast.resolution)
    judged = dict(vars(contrast)) | {"interval": interval, "p_value": p_value}
    if contrast.primary and not contrast.diverged:
        judged["word"] = word_for(interval, of_one_family=":" in contrast.name)
    return Contrast(**judged)


def word_for(interval: Interval, of_one_family: bool) -> Word:
    if interval.low > 0:
        return "degrades" if of_one_family else "positive"
    if of_one_family:
        return "does not degrade" if interval.high < TOLERANCE else "undecided"
    return "negative" if interval.high < 0 else "undecided"
