"""The share of the degradation that each treatment removes, with Fieller's intervals.

The control is the plain network; its degradation is the training error of its deep network less
that of its shallow one. A treatment is what a suite's variants differ in, at both depths; shortcuts
are one, too. It *removes* 1 - (its own degradation) / (the control's); beside it stands what it
removes against the control's shallow network, 1 - (its deep - the control's shallow error) / (the
control's degradation). A run that diverged counts with the error of guessing.
"""

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd

from analysis.frames import select
from analysis.verdict import contrasts, statistics
from analysis.verdict.statistics import Interval, Values
from analysis.verdict.variants import pairs
from resnet_bench.datasets.definitions import DATASETS


@dataclass(frozen=True)
class Treatment:
    """What the variants at several depths have in common."""

    label: str  # "mirrored", "option A"
    shortcut: str
    networks: dict[int, str]  # by depth


@dataclass(frozen=True)
class Share:
    """What one treatment removes; errors are fractions."""

    treatment: Treatment
    seeds: int  # of the network with the fewest
    diverged: int  # runs of its two networks
    shallow_error: float
    deep_error: float
    removed: float
    interval: Interval | None  # of `removed`
    against_control: float
    control_interval: Interval | None  # of `against_control`
    added_parameters: int  # of the deep network, above its control's

    @property
    def rank(self) -> float:
        """The smaller of both shares: a treatment that spoils the shallow network is no cure."""
        return min(self.removed, self.against_control)

    @property
    def text(self) -> str:
        """ "97% (94 to 99)" """
        return _percent(self.removed, self.interval)

    @property
    def control_text(self) -> str:
        return _percent(self.against_control, self.control_interval)


@dataclass(frozen=True)
class Cures:
    """The treatments of a suite beside their controls; `runs` are one row a run."""

    runs: pd.DataFrame
    treatments: list[Treatment]
    shallow: int
    deep: int

    @classmethod
    def of(cls, frame: pd.DataFrame) -> "Cures | None":
        """None without a plain control at two depths, or without treatments at both."""
        if not applies(frame):
            return None
        runs = select.finals(select.declared(frame))
        shallow, deep = select.depth_pair(select.grid_networks(frame)) or (0, 0)
        found = [one for one in treatments(frame) if {shallow, deep} <= one.networks.keys()]
        return cls(runs, found, shallow, deep)

    def errors(self, network: str) -> Values:
        """Final training errors of a network's ended runs (n,); guessing's of diverged ones."""
        runs = self.runs[self.runs["network"] == network]
        ended = runs[runs["status"].isin(["finished", "diverged"])]
        chance = 1 - 1 / DATASETS[str(self.runs["dataset"].iloc[0])].classes
        errors = ended[contrasts.ENDPOINT].where(ended["status"] == "finished", chance)
        return errors.dropna().to_numpy(dtype=np.float64)

    @cached_property
    def shares(self) -> list[Share]:
        """One for each treatment whose networks and controls have ended runs, best first."""
        found = [share for one in self.treatments if (share := self._share(one))]
        return sorted(found, key=lambda share: -share.rank)

    def _share(self, treatment: Treatment) -> Share | None:
        names = {
            "shallow": treatment.networks[self.shallow],
            "deep": treatment.networks[self.deep],
            "control shallow": f"plain-{self.shallow}",
            "control deep": f"plain-{self.deep}",
        }
        samples = {key: self.errors(name) for key, name in names.items()}
        if not all(len(values) for values in samples.values()):
            return None
        control = {"control deep": 1.0, "control shallow": -1.0}
        removed, interval = _removed(samples, {"deep": 1.0, "shallow": -1.0}, control)
        against, control_interval = _removed(
            samples, {"deep": 1.0, "control shallow": -1.0}, control
        )
        own = self.runs[self.runs["network"].isin([names["shallow"], names["deep"]])]
        parameters = self.runs.drop_duplicates("network").set_index("network")["parameters"]
        base = names["control deep"] if treatment.shortcut == "none" else None
        base = base or f"resnet-{self.deep}-{treatment.shortcut}"
        return Share(
            treatment,
            min(len(values) for values in samples.values()),
            int((own["status"] == "diverged").sum()),
            float(samples["shallow"].mean()),
            float(samples["deep"].mean()),
            removed,
            interval,
            against,
            control_interval,
            int(parameters[names["deep"]] - parameters.get(base, parameters[names["deep"]])),
        )


def applies(frame: pd.DataFrame) -> bool:
    """Whether any experiment has a cure, and plain controls are at two depths."""
    grid = select.grid_networks(frame)
    plain = grid[grid["shortcut"] == "none"]
    cured = select.declared(frame)["cures"] != ""
    return bool(cured.any()) and select.depth_pair(plain) is not None


def treatments(frame: pd.DataFrame) -> list[Treatment]:
    """The shortcuts of the suite's grid, then what its variants differ in, in the file's order."""
    grid = select.finals(select.grid_networks(frame)).drop_duplicates("network")
    found = {
        (f"option {shortcut}", shortcut): dict(
            zip(of_kind["depth"], of_kind["network"], strict=True)
        )
        for shortcut, of_kind in grid.groupby("shortcut", sort=False)
        if shortcut != "none"
    }
    for pair in pairs(frame).to_dict("records"):
        label = pair["network"].removeprefix(f"{pair['base']}-")
        found.setdefault((label, pair["shortcut"]), {})[pair["depth"]] = pair["network"]
    return [Treatment(label, str(shortcut), names) for (label, shortcut), names in found.items()]


def _removed(
    samples: dict[str, Values], numerator: dict[str, float], denominator: dict[str, float]
) -> tuple[float, Interval | None]:
    """1 - the ratio of two differences of means, and its 95% interval from two seeds on."""
    means = {key: float(values.mean()) for key, values in samples.items()}
    above, below = (
        sum(weight * means[key] for key, weight in weights.items())
        for weights in (numerator, denominator)
    )
    used = {key: samples[key] for key in {**numerator, **denominator}}
    ratio = None
    if min(map(len, used.values())) > 1:
        ratio = statistics.ratio_interval(used, numerator, denominator)
    removed = 1 - above / below if below else float("nan")
    if ratio is None:
        return removed, None
    return removed, Interval(removed, 1 - ratio.high, 1 - ratio.low, ratio.level)


def _percent(value: float, interval: Interval | None) -> str:
    ends: Any = f" ({100 * interval.low:.0f} to {100 * interval.high:.0f})" if interval else ""
    return f"{100 * value:.0f}%{ends}"
