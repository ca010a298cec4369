"""The share of the degradation that each treatment removes, with Fieller's intervals.

The control is the plain network; its degradation is the training error of its deep network less
that of its shallow one. A treatment is what a suite's variants differ in, at both depths; shortcuts
are one, too. It *removes* 1 - (its own degradation) / (the control's). Because a treatment that
spoils the shallow network hardly degrades, either, a second share takes the control's shallow
network in place of its own. A run that diverged counts with the error of guessing.
"""

import math
from dataclasses import dataclass
from functools import cached_property

import pandas as pd

from analysis.frames import select
from analysis.verdict import contrasts
from analysis.verdict.samples import Sample, share_removed
from analysis.verdict.statistics import Interval, Values
from analysis.verdict.variants import pairs


@dataclass(frozen=True)
class Treatment:
    """What the variants at several depths have in common."""

    label: str  # "mirrored", "option A"
    shortcut: str
    networks: dict[int, str]  # by depth


@dataclass(frozen=True)
class Share:
    """What one treatment removes; errors are fractions, an unknown end of an interval is NaN."""

    treatment: Treatment
    seeds: int  # of the network with the fewest
    diverged: int  # runs of its two networks
    shallow_error: float
    deep_error: float
    own: Interval  # by its own shallow network
    control: Interval  # by the control's shallow network
    added_parameters: int  # of the deep network, above its control's

    @property
    def rank(self) -> float:
        """The smaller of both shares: a treatment that spoils the shallow network is no cure."""
        return min(self.own.mean, self.control.mean)


@dataclass(frozen=True)
class Cures:
    """The treatments of a suite beside their controls."""

    frame: pd.DataFrame  # as from `load.runs`
    controls: pd.DataFrame  # the grid's networks, a row each
    shallow: int
    deep: int

    @classmethod
    def of(cls, frame: pd.DataFrame) -> "Cures | None":
        """None without cures, or before a treatment and plain controls have ended runs."""
        controls = select.finals(select.grid_networks(frame)).drop_duplicates("network")
        depths = select.depth_pair(controls[controls["shortcut"] == "none"])
        if depths is None or not (select.declared(frame)["cures"] != "").any():
            return None
        found = cls(frame, controls, *depths)
        return found if found.shares else None

    @cached_property
    def grid(self) -> list[Treatment]:
        """The networks of each shortcut; "none" is the control's."""
        found: dict[str, Treatment] = {}
        for one in self.controls.to_dict("records"):
            kind = one["shortcut"]
            networks = found.setdefault(kind, Treatment(f"option {kind}", kind, {})).networks
            networks[one["depth"]] = one["network"]
        return list(found.values())

    @property
    def control(self) -> Treatment:
        return next(one for one in self.grid if one.shortcut == "none")

    @cached_property
    def treatments(self) -> list[Treatment]:
        """The shortcuts of the suite's grid, then what its variants differ in, in its order."""
        found: dict[tuple[str, str], Treatment] = {}
        for pair in pairs(self.frame).to_dict("records"):
            label = pair["network"].removeprefix(f"{pair['base']}-")
            new = Treatment(label, pair["shortcut"], {})
            one = found.setdefault((label, pair["shortcut"]), new)
            one.networks[pair["depth"]] = pair["network"]
        all_kinds = [*(one for one in self.grid if one is not self.control), *found.values()]
        return [one for one in all_kinds if {self.shallow, self.deep} <= one.networks.keys()]

    @cached_property
    def shares(self) -> list[Share]:
        """One for each treatment whose networks and controls have ended runs, best first."""
        found = [share for one in self.treatments if (share := self._share(one))]
        return sorted(found, key=lambda share: -share.rank)

    @property
    def best(self) -> Share | None:
        """Of the treatments of plain networks."""
        return next((one for one in self.shares if one.treatment.shortcut == "none"), None)

    @cached_property
    def _ended(self) -> pd.DataFrame:
        runs = select.finals(select.declared(self.frame))
        return runs[runs["status"].isin(["finished", "diverged"])]

    def errors(self, network: str) -> Values:
        """Final training errors of a network's ended runs (n,); guessing's of diverged ones."""
        return self._sample(network).errors

    def _sample(self, network: str) -> Sample:
        runs = self._ended[self._ended["network"] == network]
        return Sample.of(runs, contrasts.ENDPOINT)

    def _share(self, treatment: Treatment) -> Share | None:
        deep, shallow = (treatment.networks[depth] for depth in (self.deep, self.shallow))
        samples = {
            "deep": self._sample(deep),
            "shallow": self._sample(shallow),
            "control deep": self._sample(self.control.networks[self.deep]),
            "control shallow": self._sample(self.control.networks[self.shallow]),
        }
        if not all(len(values) for values in samples.values()):
            return None
        own = self._ended[self._ended["network"].isin([deep, shallow])]
        base = self.controls.query("depth == @self.deep and shortcut == @treatment.shortcut")
        more = own.loc[own["network"] == deep, "parameters"].iloc[0] - base["parameters"].iloc[0]
        return Share(
            treatment,
            min(len(values) for values in samples.values()),
            len(samples["deep"].diverged) + len(samples["shallow"].diverged),
            float(samples["shallow"].errors.mean()),
            float(samples["deep"].errors.mean()),
            _removed(samples, "shallow"),
            _removed(samples, "control shallow"),
            int(more),
        )


def _removed(samples: dict[str, Sample], shallow: str) -> Interval:
    """The share removed, with its 95% interval where there is one."""
    cured = {"deep": 1.0, shallow: -1.0}
    control = {"control deep": 1.0, "control shallow": -1.0}
    found = share_removed(samples, cured, control)
    if found is not None:
        return found
    means = {key: sample.errors.mean() for key, sample in samples.items()}
    a, b = (sum(w * means[key] for key, w in side.items()) for side in (cured, control))
    return Interval(float(1 - a / b) if b else math.nan, math.nan, math.nan, 0.95)
