"""What a run leaves on disk: run.json, epochs.csv, summary.json in a directory of its own.

Nothing here imports torch: the analysis reads runs with this module alone.
"""

import csv
import dataclasses
import io
import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, get_args, get_type_hints

from resnet_bench.errors import UserError
from resnet_bench.schema import with_later_fields
from resnet_bench.specification import Network, Recipe


@dataclass(frozen=True)
class EpochRecord:
    """One row of epochs.csv. Errors are fractions (0.1 is ten per cent); None is an empty cell.

    Record r is written after iteration ceil(r*E/R), for E iterations an epoch and R records
    (`records_per_epoch`, 1 if not set); the last one at the last iteration, wherever that falls.
    E is N/B for N training images in batches of B, not rounded where batches run on. Running
    figures (`train_*`) cover the iterations since the previous record.
    """

    epoch: int  # ceil(r/R), the one it falls in or ends; 1 is the first
    iteration: int  # iterations done; what tells records apart
    learning_rate: float  # the last one used
    train_loss: float  # running: train mode, augmented images; what the paper plots
    train_error: float
    clean_train_error: float | None  # evaluation mode, un-augmented training images
    precise_train_error: float | None  # the same with re-estimated batch norm statistics
    test_loss: float
    test_error: float
    precise_test_error: float | None
    validation_loss: float | None  # on held-out training images, where the recipe holds some out
    validation_error: float | None
    seconds: float  # the group's training time since the previous record, without evaluation
    images_per_second: float  # of this run, over those seconds


COLUMNS = tuple(field.name for field in dataclasses.fields(EpochRecord))
_TYPES = get_type_hints(EpochRecord)
TIME_COLUMNS = ("seconds", "images_per_second")  # all others repeat bit for bit

Status = Literal["missing", "partial", "finished", "diverged"]


@dataclass(frozen=True)
class Summary:
    """summary.json: how a run ended; its presence means that the run is done."""

    status: Literal["finished", "diverged"]
    iteration: int  # the last one done, or the first whose loss was not finite
    final: dict[str, float | int | None]  # the last EpochRecord; empty if there was none
    seconds: float  # training time of the group over all attempts, without evaluation


class RunDirectory:
    """The files of one run.

    run.json is written first and summary.json last; in between, a row is on disk before the
    checkpoint that follows it, so that `truncate_rows` can restore a consistent pair.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.run_json = path / "run.json"
        self.epochs_csv = path / "epochs.csv"
        self.layers_csv = path / "layers.csv"  # where the recipe asks for it: layer_records.py
        self.checkpoint = path / "checkpoint.pt"
        self.summary_json = path / "summary.json"

    def status(self) -> Status:
        """How far the run is, from which files there are."""
        if summary := self.summary():
            return summary.status
        return "partial" if self.run_json.exists() else "missing"

    def summary(self) -> Summary | None:
        """How the run ended; None while it has not."""
        contents = _read_json(self.summary_json)
        return Summary(**contents) if contents is not None else None

    def write_summary(self, summary: Summary) -> None:
        _write_json(self.summary_json, dataclasses.asdict(summary))

    def description(self) -> dict[str, Any] | None:
        """run.json: `identity`, `attempts` (one entry of provenance each); None if new.

        Where an earlier version wrote it, with the fields of network and recipe that came since.
        """
        contents = _read_json(self.run_json)
        identity = contents.get("identity") if isinstance(contents, dict) else None
        for part, schema in (("network", Network), ("recipe", Recipe)):
            if isinstance(identity, dict) and isinstance(identity.get(part), dict):
                identity[part] = with_later_fields(schema, identity[part])
        return contents

    def create(self) -> None:
        """Make the directory if it is not there; raises UserError if nothing can be written."""
        try:
            self.path.mkdir(parents=True, exist_ok=True)
            (self.path / ".lock").touch()
        except OSError as error:
            raise UserError(f"cannot write results to {self.path}: {error.strerror}") from error

    def write_description(self, description: dict[str, Any]) -> None:
        _write_json(self.run_json, description)

    def check_identity(self, identity: dict[str, Any]) -> None:
        """Raise UserError if the directory belongs to a run that differs in a key of `identity`."""
        description = self.description()
        if description is None:
            return
        whole = description["identity"]
        there = _flat({key: whole[key] for key in identity if key in whole})
        wanted = _flat(identity)
        differing = [
            f"{key} is {there.get(key)!r} there, {wanted.get(key)!r} now"
            for key in sorted(there.keys() | wanted.keys())
            if there.get(key) != wanted.get(key)
        ]
        if differing:
            raise UserError(
                f"{self.path} belongs to another run ({'; '.join(differing)}); "
                "move it away, or give --results another folder"
            )

    def rows(self) -> list[EpochRecord]:
        """The records written so far, oldest first; a torn last line is not one."""
        return [parse_row(row) for row in self._whole_rows()]

    def append(self, record: EpochRecord) -> None:
        """Add a row and have it on disk when this returns."""
        new = not self.epochs_csv.exists()
        with self.epochs_csv.open("a", newline="", encoding="utf-8") as file:
            writer = csv.writer(file, lineterminator="\n")
            if new:
                writer.writerow(COLUMNS)
            writer.writerow(format_row(record))
            file.flush()
            os.fsync(file.fileno())

    def truncate_rows(self, count: int) -> list[EpochRecord]:
        """Cut off the rows past the first `count`, which the checkpoint has; returns those kept."""
        kept = self.rows()[:count]
        buffer = io.StringIO()
        writer = csv.writer(buffer, lineterminator="\n")
        writer.writerow(COLUMNS)
        writer.writerows(format_row(row) for row in kept)
        write_atomically(self.epochs_csv, buffer.getvalue().encode())
        return kept

    def _whole_rows(self) -> list[dict[str, str]]:
        if not self.epochs_csv.exists():
            return []
        text = self.epochs_csv.read_text(encoding="utf-8")
        whole = text[: text.rfind("\n") + 1]  # a killed process may leave half a line
        reader = csv.DictReader(io.StringIO(whole))
        rows = list(reader)
        if rows and tuple(reader.fieldnames or ()) != COLUMNS:
            raise UserError(f"{self.epochs_csv}: its columns are not those of this version")
        return rows


def format_row(record: EpochRecord) -> list[str]:
    """The cells of a row; a float is written so that reading it gives the same bits."""
    values = dataclasses.astuple(record)
    return ["" if value is None else repr(value) for value in values]


def parse_row(cells: dict[str, str]) -> EpochRecord:
    """The inverse of `format_row`; raises UserError for a cell that is not a number."""
    values: dict[str, Any] = {}
    for name, hint in _TYPES.items():
        text = cells[name]
        optional = type(None) in get_args(hint)
        kind = int if hint is int else float
        try:
            values[name] = None if optional and text == "" else kind(text)
        except ValueError as error:
            raise UserError(f"epochs.csv: {name}: {text!r} is not a number") from error
    return EpochRecord(**values)


def write_atomically(path: Path, contents: bytes) -> None:
    """Replace `path` in one step, so that a kill leaves the old file or the new one, whole."""
    temporary = path.with_name(path.name + ".tmp")
    with temporary.open("wb") as file:
        file.write(contents)
        file.flush()
        os.fsync(file.fileno())
    temporary.replace(path)


def _write_json(path: Path, contents: dict[str, Any]) -> None:
    write_atomically(path, (json.dumps(contents, indent=2) + "\n").encode())


def _read_json(path: Path) -> dict[str, Any] | None:
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None
    except OSError as error:
        raise UserError(f"{path}: cannot be read: {error.strerror}") from error
    except ValueError as error:
        raise UserError(f"{path}: damaged: {error}") from error


def _flat(nested: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for key, value in nested.items():
        if isinstance(value, dict):
            flat |= _flat(value, f"{prefix}{key}.")
        else:
            flat[prefix + key] = value
    return flat
