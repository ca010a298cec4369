"""The witnesses of a suite as pandas tables, from their witness.json and CSVs."""

import math
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pandas as pd

from analysis.frames import select
from analysis.frames.integrity import Number, Text, Typed, checked
from resnet_bench.errors import UserError, printable
from resnet_bench.records.files import find_paths
from resnet_bench.records.run_directory import RunDirectory
from resnet_bench.records.seals import read_sealed

PAIR = ["source", "deep"]


class _Witness(Typed):
    """A witness.json."""

    source: Text
    deep: Text
    source_depth: Number
    depth: Number
    seed: Number
    max_difference: float
    images: dict[str, Number]
    errors: dict[str, dict[str, float] | None]
    calibration: dict[str, float] | None
    provenance: dict[str, Any]


POINT_COLUMNS = {
    "source": "the network whose function is kept: plain-20",
    "deep": "the network that the witness is built as: plain-56; the source itself for a copy",
    "depth": "of the witness, in weighted layers",
    "source_depth": "of the source",
    "seed": "of the source's run",
    "max_difference": "largest one between both outputs, over all images; 0: equal bit for bit",
    "images": "on which the outputs were compared",
    "source_error": "precise training error of the source, a fraction",
    "witness_error": "the same, of the witness",
    "trained_error": "the same, of the run of `deep` that SGD trained; NaN if there is none",
    "start_error": "the same, of the witness calibrated in train mode, where training on starts",
    "commit": "of the code that built it, or unknown",
}
CURVE_COLUMNS = dict.fromkeys(("source", "deep", "seed"), "as in `POINT_COLUMNS`") | {
    "learning_rate": "of training on, constant",
    "status": "finished, diverged or partial",
    "iteration": "of training on; 0 is the witness",
    "error": "precise training error, a fraction",
}


@dataclass(frozen=True)
class Witnesses:
    """The data of the figure of witnesses."""

    runs: pd.DataFrame  # as from `load.runs`
    points: pd.DataFrame  # one row a witness: `POINT_COLUMNS`
    curves: pd.DataFrame  # one row a record of training on: `CURVE_COLUMNS`
    problems: list[str] = field(default_factory=list)  # a sentence for each that is left out

    @classmethod
    def of(cls, runs: pd.DataFrame) -> "Witnesses":
        """The witnesses in the suite's folder."""
        directory = Path(select.declared(runs)["directory"].iloc[0])
        points: list[dict[str, Any]] = []
        curves: list[dict[str, Any]] = []
        problems: list[str] = []
        for path in find_paths(directory.parents[1], "witness/*/seed-*/witness.json"):
            with _left_out(problems):
                point = _point(path)
                points.append(point)
                for folder in find_paths(path.parent, "learning_rate=*"):
                    with _left_out(problems):
                        curves += _curve(point, folder)
        table = pd.DataFrame(points, columns=list(POINT_COLUMNS))
        return cls(
            runs,
            table.sort_values(["source_depth", "source", "depth", "seed"], ignore_index=True),
            pd.DataFrame(curves, columns=list(CURVE_COLUMNS)),
            problems,
        )

    def pairs(self) -> list[tuple[str, str]]:
        """(source, deep) of the witnesses that were trained on, or that SGD's run compares with."""
        continued = set(self.curves[PAIR].itertuples(index=False, name=None))
        trained = self.points[self.points["trained_error"].notna()]
        trained = trained[trained["source"] != trained["deep"]]
        kept = continued | set(trained[PAIR].itertuples(index=False, name=None))
        all_pairs = self.points[PAIR].itertuples(index=False, name=None)
        return [pair for pair in dict.fromkeys(all_pairs) if pair in kept]

    def of_pair(self, source: str, deep: str) -> tuple[pd.DataFrame, pd.DataFrame]:
        """The rows of one pair in (points, curves)."""
        points, curves = (
            table[(table["source"] == source) & (table["deep"] == deep)]
            for table in (self.points, self.curves)
        )
        return points, curves


@contextmanager
def _left_out(problems: list[str]) -> Iterator[None]:
    """Add a sentence to `problems` if something within is damaged."""
    try:
        yield
    except UserError as error:
        problems.append(f"Refused, in no figure or table: {printable(str(error))}.")


def _point(path: Path) -> dict[str, Any]:
    """One row of `POINT_COLUMNS`, from a witness.json. Raises UserError for a damaged one."""
    contents, _ = read_sealed(path)
    found = checked(_Witness, contents, path, "not a witness's description")
    try:
        errors = found["errors"]
        trained, calibration = errors["trained"], found["calibration"]
        witness_error = errors["witness"]["precise_train_error"]
        name = f"{found['source']}-as-{found['depth']}/seed-{found['seed']}"
        if path.parts[-3:-1] != tuple(name.split("/")):
            raise UserError(f"{path}: is that of {name}")
        return {
            **{key: found[key] for key in ("source", "deep", "depth", "source_depth", "seed")},
            "max_difference": found["max_difference"],
            "images": sum(found["images"].values()),
            "source_error": errors["source"]["precise_train_error"],
            "witness_error": witness_error,
            "trained_error": trained["precise_train_error"] if trained else math.nan,
            "start_error": calibration["precise_train_error"] if calibration else witness_error,
            "commit": str(found["provenance"]["commit"] or "unknown")[:10],
        }
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise UserError(f"{path}: not a witness's description: {error!r}") from error


def _curve(point: dict[str, Any], folder: Path) -> list[dict[str, Any]]:
    """The rows of training on at one learning rate, the witness's own at iteration 0 first.

    Raises UserError if it is damaged, or if it is another one's.
    """
    directory = RunDirectory(folder)
    summary, records = directory.read_state({"seed": point["seed"]})
    try:
        identity = (directory.description() or {})["identity"]
        rate = float(folder.name.partition("=")[2])
        names = identity["experiment"], identity["source"]["experiment"]
        deep, source = (name.partition("/")[2] for name in names)
        if (deep, source) != (f"{point['deep']}+{folder.name}", point["source"]):
            raise UserError(f"{folder}: is that of {deep}, from {source}")
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise UserError(f"{directory.run_json}: not a continuation's: {error!r}") from error
    common = {key: point[key] for key in ("source", "deep", "seed")} | {
        "learning_rate": rate,
        "status": summary.status if summary else "partial",
    }
    start = {"iteration": 0, "error": point["start_error"]}
    errors = [
        {"iteration": row.iteration, "error": row.precise_train_error}
        for row in records
        if row.precise_train_error is not None
    ]
    return [common | error for error in [start, *errors]]
