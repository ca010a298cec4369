"""The directory of a run: run.json, epochs.csv, layers.csv, summary.json and the checkpoint.

Nothing here imports torch: the analysis reads runs with this module.
"""

import dataclasses
import reprlib
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, Literal

from pydantic import ConfigDict, ValidationError
from pydantic.dataclasses import dataclass as checked_dataclass

from resnet_bench.errors import UserError
from resnet_bench.locks import hold
from resnet_bench.paths import make_folder
from resnet_bench.records.epochs import EpochRecord
from resnet_bench.records.files import (
    append,
    as_csv,
    read_csv,
    read_json,
    write_atomically,
    write_json,
)
from resnet_bench.suites.network import NetworkSpec
from resnet_bench.suites.recipe import Recipe
from resnet_bench.suites.validation import one_line, with_later_fields

Status = Literal["missing", "partial", "finished", "diverged"]


@checked_dataclass(frozen=True, config=ConfigDict(extra="forbid", strict=True))
class Summary:
    """summary.json: how a run ended; it exists only if the run has ended."""

    status: Literal["finished", "diverged"]
    iteration: int  # the last one, or the first whose loss was not finite
    final: dict[str, float | int | None]  # the last EpochRecord; empty without one
    seconds: float  # training time of the run's group in all attempts, without evaluation


class RunDirectory:
    """The files of one run.

    run.json is written first and summary.json last. In between, a row is written before the
    checkpoint that includes it, so that `keep_rows` can make both consistent again.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.lock = path / ".lock"
        self.run_json = path / "run.json"
        self.epochs_csv = path / "epochs.csv"
        self.layers_csv = path / "layers.csv"  # only with the recipe's `layers_at`; see LayersFile
        self.checkpoint = path / "checkpoint.pt"
        self.summary_json = path / "summary.json"

    def status(self) -> Status:
        """The run's status, from the files that exist."""
        if summary := self.summary():
            return summary.status
        return "partial" if self.run_json.exists() else "missing"

    def summary(self) -> Summary | None:
        """summary.json; None without the file. Raises UserError if it is damaged."""
        contents = read_json(self.summary_json)
        if contents is None:
            return None
        try:
            return Summary(**contents)
        except ValidationError as error:
            raise UserError(f"{self.summary_json}: damaged: {one_line(error)}") from error

    def write_summary(self, summary: Summary) -> None:
        write_json(self.summary_json, dataclasses.asdict(summary))

    def description(self) -> dict[str, Any] | None:
        """run.json: `identity`, and `attempts` with the provenance of each; None without the file.

        If an earlier version wrote it, newer fields of network and recipe have their defaults.
        Raises UserError if it is damaged.
        """
        contents = read_json(self.run_json)
        if contents is None:
            return None
        identity, attempts = contents.get("identity", {}), contents.get("attempts", [])
        lists = isinstance(attempts, list) and all(isinstance(entry, dict) for entry in attempts)
        if not (isinstance(identity, dict) and lists):
            raise self._no_description()
        for part, schema in (("network", NetworkSpec), ("recipe", Recipe)):
            if isinstance(identity.get(part), dict):
                identity[part] = with_later_fields(schema, identity[part])
        if isinstance(identity, dict):
            identity.setdefault("cures", {})
        return contents

    def _no_description(self) -> UserError:
        return UserError(
            f"{self.run_json}: damaged: not a run's description; move its folder away to train"
            " the run again"
        )

    def create(self) -> None:
        """Make the directory unless it exists; raises UserError if nothing can be written."""
        try:
            make_folder(self.path)
            self.lock.touch()
        except OSError as error:
            raise UserError(f"cannot write results to {self.path}: {error.strerror}") from error

    def write_description(self, description: dict[str, Any]) -> None:
        write_json(self.run_json, description)

    def check_identity(self, identity: dict[str, Any]) -> None:
        """Raise UserError if the directory belongs to a run that differs in a key of `identity`."""
        description = self.description()
        if description is None:
            return
        if "identity" not in description:
            raise self._no_description()
        whole = description["identity"]
        there = _flat({key: whole[key] for key in identity if key in whole})
        wanted = _flat(identity)
        differing = [
            f"{key} is {_told(there.get(key))} there, {_told(wanted.get(key))} now"
            for key in sorted(there.keys() | wanted.keys())
            if there.get(key) != wanted.get(key)
        ]
        if differing:
            raise UserError(
                f"{self.path} belongs to another run ({'; '.join(differing)}); "
                "move it away, or give --results another folder"
            )

    def read_state(self, identity: dict[str, Any]) -> tuple[Summary | None, list[EpochRecord]]:
        """The summary, None if the run has not ended, and the records.

        Raises UserError if the directory is not that of `identity`, or if records are missing.
        """
        self.check_identity(identity)
        summary, rows = self.summary(), self.rows()
        if summary is None:
            return None, rows
        again = "move the folder away to train the run again"
        if self.description() is None:
            raise UserError(f"{self.run_json} is missing; {again}")
        if (rows[-1].iteration if rows else None) != summary.final.get("iteration"):
            raise UserError(
                f"{self.epochs_csv}: it does not end with the record in summary.json; {again}"
            )
        return summary, rows

    def rows(self) -> list[EpochRecord]:
        """The records so far, oldest first; an incomplete last line is skipped."""
        return read_csv(self.epochs_csv, EpochRecord)

    def append(self, record: EpochRecord) -> None:
        """Add a row and flush it to disk."""
        header = not self.epochs_csv.exists()
        append(self.epochs_csv, as_csv(EpochRecord, [record], header=header))

    def keep_rows(self, count: int) -> list[EpochRecord]:
        """Remove the rows after the first `count`, the checkpoint's; returns the others."""
        kept = self.rows()[:count]
        write_atomically(self.epochs_csv, as_csv(EpochRecord, kept, header=True).encode())
        return kept


def _flat(nested: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for key, value in nested.items():
        if isinstance(value, dict):
            flat |= _flat(value, f"{prefix}{key}.")
        else:
            flat[prefix + key] = value
    return flat


def _told(value: Any) -> str:
    """A value in a message; a digest in its first and last letters."""
    return reprlib.repr(value) if isinstance(value, str) else repr(value)


@contextmanager
def locked(directory: RunDirectory) -> Iterator[None]:
    """Hold the run's lock; raises UserError if another process does."""
    from filelock import Timeout

    with ExitStack() as stack:
        try:
            stack.enter_context(hold(directory.lock))
        except Timeout:
            raise UserError(f"{directory.path}: another process is training this run") from None
        except OSError as error:
            raise UserError(f"{directory.lock}: cannot be opened: {error.strerror}") from error
        yield
