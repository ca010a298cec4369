"""Final errors by network and seed, and the runs that have none."""

from dataclasses import dataclass

import pandas as pd

from analysis.frames import select
from resnet_bench.datasets.definitions import DATASETS

Network = tuple[str, int]  # (shortcut, depth)


@dataclass(frozen=True)
class Lost:
    """A run without the final error that a contrast needs."""

    network: str
    seed: int
    why: str  # diverged, partial, missing or "finished without <endpoint>"
    diverged_at: int | None = None  # iteration

    @property
    def text(self) -> str:
        """ "plain-56 seed 1 diverged" """
        return f"{self.network} seed {self.seed} {self.why}"


@dataclass(frozen=True)
class FinalErrors:
    """The final errors of each network by seed, and the runs that have none."""

    endpoint: str
    errors: dict[Network, dict[int, float]]  # fractions
    lost: dict[Network, list[Lost]]
    resolution: float  # one image, as a fraction of those that the endpoint is measured on

    @classmethod
    def of(cls, runs: pd.DataFrame, endpoint: str) -> "FinalErrors":
        errors: dict[Network, dict[int, float]] = {}
        lost: dict[Network, list[Lost]] = {}
        finals = select.finals(runs)
        for run in finals.to_dict("records"):
            key, status = (run["shortcut"], run["depth"]), run["status"]
            if status == "finished" and not pd.isna(run[endpoint]):
                errors.setdefault(key, {})[run["seed"]] = run[endpoint]
            else:
                why = f"finished without {endpoint}" if status == "finished" else status
                at = int(run["ended_at"]) if status == "diverged" else None
                lost.setdefault(key, []).append(Lost(run["network"], run["seed"], why, at))
        return cls(endpoint, errors, lost, _resolution(finals, endpoint))


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
