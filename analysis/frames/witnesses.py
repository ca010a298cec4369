"""The frame of all witnesses of a suite, from their witness.json and CSVs."""

import json
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from analysis.frames import select
from resnet_bench.errors import UserError
from resnet_bench.records.run_directory import RunDirectory

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
