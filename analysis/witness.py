"""Identity witnesses: deeper networks that compute what a shallow one does, and training on.

Section 1 of the paper: "there exists a solution by construction to the deeper model", the shallow
one's layers and identities, so that it "should produce no higher training error". `python -m
resnet_bench witness` builds it; here is what became of it. Trained on from there, what is never
more than half a point above where it began *stays*; what was, but does not end there, *comes back*;
what ends there *drifts away*.
"""

import json
import math
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from analysis import contrasts, select
from resnet_bench.errors import UserError
from resnet_bench.records import RunDirectory

PAIR = ["source", "deep"]
POINT_COLUMNS = {
    "source": "the network whose function is kept: plain-20",
    "deep": "what the witness is built as: plain-56; the source itself for a copy",
    "depth": "the witness's",
    "source_depth": "",
    "seed": "of the source's run",
    "max_difference": "of the two's outputs, over all images; 0 is bit for bit",
    "images": "how many they were compared on",
    "source_error": "the source's precise training error, a fraction",
    "witness_error": "the witness's",
    "trained_error": "that of the run of `deep` itself: what SGD found; NaN if there is none",
    "start_error": "the witness's in train mode's calibration, where training on starts",
    "commit": "of the code that built it, or unknown",
}
CURVE_COLUMNS = {
    "source": "as above",
    "deep": "the same",
    "seed": "the same",
    "learning_rate": "constant",
    "status": "finished, diverged or partial",
    "iteration": "of training on; 0 is the witness",
    "error": "precise training error, a fraction",
}


@dataclass(frozen=True)
class Witnesses:
    """What the figure of witnesses is drawn from."""

    runs: pd.DataFrame  # as from `load.runs`
    points: pd.DataFrame  # one row a witness: `POINT_COLUMNS`
    curves: pd.DataFrame  # one row a record of training on: `CURVE_COLUMNS`

    @classmethod
    def of(cls, runs: pd.DataFrame) -> "Witnesses":
        """Those in the folder of a suite's runs. UserError for a damaged witness.json."""
        directory = Path(select.declared(runs)["directory"].iloc[0])
        points: list[dict[str, Any]] = []
        curves: list[dict[str, Any]] = []
        for path in sorted(directory.parents[1].glob("witness/*/seed-*/witness.json")):
            point = _point(path)
            points.append(point)
            for folder in sorted(path.parent.glob("learning_rate=*")):
                curves += _curve(point, folder)
        table = pd.DataFrame(points, columns=list(POINT_COLUMNS))
        return cls(
            runs,
            table.sort_values(["source_depth", "source", "depth", "seed"], ignore_index=True),
            pd.DataFrame(curves, columns=list(CURVE_COLUMNS)),
        )

    def pairs(self) -> list[tuple[str, str]]:
        """(source, deep) of those with something to compare: SGD's own run, or training on."""
        continued = set(self.curves[PAIR].itertuples(index=False, name=None))
        trained = self.points[self.points["trained_error"].notna()]
        trained = trained[trained["source"] != trained["deep"]]
        kept = continued | set(trained[PAIR].itertuples(index=False, name=None))
        everything = self.points[PAIR].itertuples(index=False, name=None)
        return [pair for pair in dict.fromkeys(everything) if pair in kept]


def _point(path: Path) -> dict[str, Any]:
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
        errors = found["errors"]
        trained, calibration = errors["trained"], found["calibration"]
        witness_error = errors["witness"]["precise_train_error"]
        return {
            **{key: found[key] for key in ("source", "deep", "depth", "source_depth", "seed")},
            "max_difference": found["max_difference"],
            "images": sum(found["images"].values()),
            "source_error": errors["source"]["precise_train_error"],
            "witness_error": witness_error,
            "trained_error": trained["precise_train_error"] if trained else math.nan,
            "start_error": calibration["precise_train_error"] if calibration else witness_error,
            "commit": (found["provenance"]["commit"] or "unknown")[:10],
        }
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise UserError(f"{path}: not a witness's description: {error!r}") from error


def _curve(point: dict[str, Any], folder: Path) -> list[dict[str, Any]]:
    """The records of training on at one learning rate, with the witness itself before them."""
    directory = RunDirectory(folder)
    try:
        rate = float(folder.name.partition("=")[2])
    except ValueError as error:
        raise UserError(f"{folder}: no learning rate") from error
    common = {key: point[key] for key in ("source", "deep", "seed")} | {
        "learning_rate": rate,
        "status": directory.status(),
    }
    start = {"iteration": 0, "error": point["start_error"]}
    records = [
        {"iteration": row.iteration, "error": row.precise_train_error}
        for row in directory.rows()
        if row.precise_train_error is not None
    ]
    return [common | record for record in [start, *records]]


def sentences(data: Witnesses) -> list[str]:
    """What each pair of networks shows: a sentence each; copies, the control, come last."""
    pairs = sorted(data.pairs(), key=lambda pair: pair[0] == pair[1])
    return [
        (_of_copy if pair[0] == pair[1] else _sentence)(
            _of(data.points, pair), _of(data.curves, pair)
        )
        for pair in pairs
    ]


def _of(table: pd.DataFrame, pair: tuple[str, str]) -> pd.DataFrame:
    return table[(table["source"] == pair[0]) & (table["deep"] == pair[1])]


def _sentence(points: pd.DataFrame, curves: pd.DataFrame) -> str:
    first = points.iloc[0]
    largest = points["max_difference"].max()
    equal = "equal bit for bit" if largest == 0 else f"at most {largest:.2g} apart"
    n = len(points)
    trained = points["trained_error"].dropna()
    by_sgd = f", while SGD's {first['deep']} has {_percent(trained, n)}" if len(trained) else ""
    on = f" Trained on from there, by learning rate: {_rates(curves, n)}." if len(curves) else ""
    # Precise batch norm re-estimates the added norms, too, which may move an image or two.
    return (
        f"{first['source']} and identity blocks make a {first['deep']} of the same function"
        f" (outputs {equal} on {first['images']:,} images; {_seeds(points)}): with batch norm"
        f" re-estimated its training error is {_percent(points['witness_error'], n)}"
        f" ({first['source']}'s own: {_percent(points['source_error'], n)}){by_sgd}.{on}"
    )


def _of_copy(points: pd.DataFrame, curves: pd.DataFrame) -> str:
    """What training on does without added layers."""
    return (
        f"For comparison, {points['source'].iloc[0]} itself, trained on in the same way"
        f" ({_seeds(points)}): {_rates(curves, len(points))}."
    )


def _seeds(points: pd.DataFrame) -> str:
    """What the errors of a sentence are taken over."""
    return f"errors are medians over {len(points)} seeds" if len(points) > 1 else "one seed"


def _rates(curves: pd.DataFrame, n: int) -> str:
    rates = curves.groupby("learning_rate")
    return "; ".join(_rate(float(str(rate)), of, n) for rate, of in rates)


def _rate(rate: float, curves: pd.DataFrame, n: int) -> str:
    """ "0.01: 1.18% after 360 iterations, 7.24% at most on the way (comes back)" """
    by_seed = curves.groupby("seed", sort=True)
    ended = by_seed.last()
    done = ended[ended["status"] == "finished"]
    words = []
    if len(done):
        kept = by_seed["error"].first()[done.index] + contrasts.TOLERANCE
        highest = by_seed["error"].max()[done.index]
        found = [
            "stays" if stayed else "comes back" if came_back else "drifts away"
            for stayed, came_back in zip(highest <= kept, done["error"] <= kept, strict=True)
        ]
        end = f"{done['iteration'].max():,} iterations"
        way = "" if set(found) == {"stays"} else f", {_percent(highest, n)} at most on the way"
        words.append(f"{_percent(done['error'], n)} after {end}{way} ({_fates(found)})")
    for status in ("diverged", "partial"):
        if (ended["status"] == status).any():
            words.append(f"{(ended['status'] == status).sum()} {status}")
    return f"{rate:g}: {', '.join(words)}"


def _fates(found: list[str]) -> str:
    """ "stays", or how many seeds each: "stays with 1, drifts away with 2 of 3 seeds" """
    counts = Counter(sorted(found, reverse=True))
    if len(counts) == 1:
        return found[0]
    return f"{', '.join(f'{fate} with {n}' for fate, n in counts.items())} of {len(found)} seeds"


def _percent(errors: pd.Series, n: int) -> str:
    """The median, and over how many seeds where that is not all `n` of them: "2.37% (1 seed)"."""
    count = int(errors.count())
    some = f" ({count} seed{'s' if count > 1 else ''})" if count < n else ""
    return f"{100 * errors.median():.2f}%{some}"
