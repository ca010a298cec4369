"""Differences between networks that the verdict is about, paired by seed."""

from dataclasses import dataclass
from typing import Literal

import numpy as np
import pandas as pd

from analysis import select, statistics
from analysis.statistics import Interval

ENDPOINT = "precise_train_error"  # the primary one, at the last iteration
TOLERANCE = 0.005  # half a point: a rise whose upper bound is below it does not count
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
    return primary_of(select.own(frame), alpha)


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
    errors, fates = _errors(runs, ENDPOINT)
    span, kind = f"{deep} - {shallow}", residual_kind(runs)
    terms = {
        f"plain: {span}": {("none", deep): 1, ("none", shallow): -1},
        f"option {kind}: {span}": {(kind, deep): 1, (kind, shallow): -1},
        f"plain - option {kind}": {
            ("none", deep): 1, ("none", shallow): -1, (kind, deep): -1, (kind, shallow): 1,
        },
    }  # fmt: skip
    found = [_contrast(name, ENDPOINT, True, of, errors, fates) for name, of in terms.items()]
    tested = [contrast for contrast in found if contrast.n >= 2]
    p_values = [statistics.t_p_value(np.array(contrast.values)) for contrast in tested]
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
    runs = select.own(frame)
    pair = depth_pair(runs)
    if pair is None:
        return []
    shallow, deep = pair
    found = []
    for endpoint in (ENDPOINT, "test_error"):
        errors, fates = _errors(runs, endpoint)
        for shortcut in select.shortcuts(runs):
            for depth in select.depths(runs):
                in_primary = shortcut in ("none", residual_kind(runs)) and depth == deep
                is_primary = endpoint == ENDPOINT and in_primary
                if depth <= shallow or is_primary:
                    continue
                kind = "plain" if shortcut == "none" else f"option {shortcut}"
                terms = {(shortcut, depth): 1, (shortcut, shallow): -1}
                name = f"{kind}: {depth} - {shallow}"
                contrast = _contrast(name, endpoint, False, terms, errors, fates)
                found.append(_judge(contrast, None, 0.95) if contrast.n >= 2 else contrast)
    return [contrast for contrast in found if contrast.n]


Errors = dict[tuple[str, int], dict[int, float]]  # (shortcut, depth) -> seed -> final error
Fates = dict[tuple[str, int], dict[int, str]]  # the same -> "plain-56 seed 1 diverged"


def _errors(runs: pd.DataFrame, endpoint: str) -> tuple[Errors, Fates]:
    errors: Errors = {}
    fates: Fates = {}
    for run in select.finals(runs).to_dict("records"):
        key = (run["shortcut"], run["depth"])
        if run["status"] == "finished" and not pd.isna(run[endpoint]):
            errors.setdefault(key, {})[run["seed"]] = run[endpoint]
        else:
            unmeasured = " without " + endpoint if run["status"] == "finished" else ""
            fate = f"{run['network']} seed {run['seed']} {run['status']}{unmeasured}"
            fates.setdefault(key, {})[run["seed"]] = fate
    return errors, fates


def _contrast(
    name: str,
    endpoint: str,
    primary: bool,
    terms: dict[tuple[str, int], int],
    errors: Errors,
    fates: Fates,
) -> Contrast:
    """The sum of the terms' final errors with their signs, at every seed that has them all."""
    shared = set.intersection(*(set(errors.get(key, {})) for key in terms))
    seeds = tuple(sorted(shared))
    values = tuple(sum(sign * errors[key][seed] for key, sign in terms.items()) for seed in seeds)
    lost = tuple(fate for key in terms for fate in fates.get(key, {}).values())
    return Contrast(name, endpoint, primary, seeds, values, lost)


def _judge(contrast: Contrast, p_value: float | None, level: float) -> Contrast:
    interval = statistics.t_interval(np.array(contrast.values), level)
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
