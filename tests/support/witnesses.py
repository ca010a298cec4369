"""Synthetic witnesses for the tests of the analysis, as `resnet_bench witness` leaves them."""

import dataclasses
import json
from pathlib import Path
from typing import Any

from resnet_bench.records.epochs import EpochRecord
from resnet_bench.records.files import as_csv
from resnet_bench.records.run_directory import RunDirectory, Summary


def write_witness(
    suite: Path,
    name: str,
    seed: int,
    error: float,
    trained: float | None = None,
    curves: dict[float, tuple[float, ...]] | None = None,
    ends: str = "finished",
) -> Path:
    """Write `suite`/witness/`name`/seed-n; `name` as plain-8-as-14. Returns its folder.

    `error`: precise training error of source and witness; `curves`: of training on, a value every
    ten iterations, by learning rate.
    """
    source, _, depth = name.partition("-as-")
    source_depth = source.split("-")[1]
    folder = suite / "witness" / name / f"seed-{seed}"
    folder.mkdir(parents=True)
    of_source = _errors(error)
    description: dict[str, Any] = {
        "suite": suite.name,
        "source": source,
        "deep": source.replace(source_depth, depth, 1),
        "source_depth": int(source_depth),
        "depth": int(depth),
        "seed": seed,
        "max_difference": 0.0,
        "images": {"train": 1437, "test": 360},
        "errors": {
            "source": of_source,
            "witness": of_source,
            "trained": None if trained is None else _errors(trained),
        },
        "calibration": of_source if curves else None,
        "provenance": {"commit": "feedfacefeed"},
        "continued": [f"learning_rate={rate}" for rate in curves or {}],
    }
    (folder / "witness.json").write_text(json.dumps(description))
    for rate, errors in (curves or {}).items():
        _write_curve(folder / f"learning_rate={rate}", rate, errors, ends)
        identity = {
            "experiment": f"{suite.name}/{description['deep']}+learning_rate={rate}",
            "recipe": {"learning_rate": rate},
            "seed": seed,
            "source": {"experiment": f"{suite.name}/{source}"},
        }
        run_json = folder / f"learning_rate={rate}" / "run.json"
        run_json.write_text(json.dumps({"identity": identity, "attempts": []}))
    return folder


def _errors(error: float) -> dict[str, float]:
    return {"clean_train_error": error, "precise_train_error": error, "test_error": error}


def _write_curve(folder: Path, rate: float, errors: tuple[float, ...], ends: str) -> None:
    folder.mkdir()
    directory = RunDirectory(folder)
    rows = [
        EpochRecord(
            number, 10 * number, rate, 0.1, error, error, error, 0.1, error, error, None, None, 1, 1
        )
        for number, error in enumerate(errors, start=1)
    ]
    directory.epochs_csv.write_text(as_csv(EpochRecord, rows, header=True))
    if ends == "partial":
        return
    final = dataclasses.asdict(rows[-1])
    summary = Summary(ends, rows[-1].iteration, final, 1.0)  # type: ignore[arg-type]
    directory.summary_json.write_text(json.dumps(dataclasses.asdict(summary)))
