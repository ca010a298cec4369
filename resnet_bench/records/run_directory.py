"""The directory of a run: run.json, epochs.csv, layers.csv, summary.json and the checkpoint.

Nothing here imports torch: the analysis reads runs with this module.
"""

import dataclasses
from itertools import pairwise
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import ConfigDict, Field, ValidationError
from pydantic.dataclasses import dataclass as checked_dataclass

from resnet_bench.errors import UserError
from resnet_bench.paths import make_folder
from resnet_bench.records import identity as identities
from resnet_bench.records import seals
from resnet_bench.records.csv_file import CsvFile, Mark
from resnet_bench.records.epochs import EpochRecord
from resnet_bench.records.files import find_paths, read_json, write_json
from resnet_bench.records.layers import LayersFile
from resnet_bench.suites.validation import one_line

AGAIN = "move the folder away to train the run again"  # what may be done about damage
Count = Annotated[int, Field(ge=0, lt=2**63)]
Status = Literal["missing", "partial", "finished", "diverged"]


@checked_dataclass(frozen=True, config=ConfigDict(extra="forbid", strict=True))
class Summary:
    """summary.json: how a run ended; it exists only if the run has ended."""

    status: Literal["finished", "diverged"]
    iteration: Count  # the last one, or the first whose loss was not finite
    final: dict[str, float | int | None]  # the last EpochRecord; empty without one
    seconds: float  # training time of the run's group in all attempts, without evaluation
    # SHA-256 of each file, see records/seals.py; None in a run from before there were seals.
    seal: dict[str, str] | None = dataclasses.field(default=None, compare=False)

    def ended(self) -> dict[str, Any]:
        """What is sealed."""
        return {name: value for name, value in dataclasses.asdict(self).items() if name != "seal"}


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
        self.checkpoint = path / seals.CHECKPOINT
        self.checkpoint_before = path / "checkpoint.before.pt"  # until the run has ended
        self.summary_json = path / "summary.json"
        self.epochs = CsvFile(self.epochs_csv, EpochRecord)
        self.layers = LayersFile(self.layers_csv)

    def status(self) -> Status:
        """The run's status, from the files that exist."""
        if summary := self.summary():
            return summary.status
        return "partial" if self.run_json.exists() else "missing"

    def summary(self, *, checkpoint: bool = False) -> Summary | None:
        """summary.json; None without the file. Whatever reads a run that has ended asks here.

        Raises UserError if it is damaged, or if a file is not what it was when it was sealed; the
        checkpoint, which may be large, is looked at where it is asked for.
        """
        contents = read_json(self.summary_json)
        if contents is None:
            return None
        try:
            summary = Summary(**contents)
        except ValidationError as error:
            raise UserError(f"{self.summary_json}: damaged: {one_line(error)}") from error
        if summary.seal is not None:
            what = seals.broken(self.path, summary.seal, summary.ended(), checkpoint=checkpoint)
            if what:
                raise UserError(f"{self.path}: damaged: {', '.join(what)}; {AGAIN}")
        return summary

    def write_summary(self, summary: Summary) -> None:
        """Write summary.json, sealed: the run has ended."""
        write_json(self.summary_json, seals.sealed(self.path, summary.ended()))

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
        if identity:
            contents["identity"] = identities.of_today(identity)
        return contents

    def without_path(self, error: UserError) -> str:
        """`error` where the run's folder is known."""
        return str(error).replace(f"{self.path}/", "").removeprefix(f"{self.path}: ")

    def _no_description(self) -> UserError:
        return UserError(f"{self.run_json}: damaged: not a run's description; {AGAIN}")

    def create(self) -> None:
        """Make the directory unless it exists; raises UserError if nothing can be written."""
        try:
            make_folder(self.path)
            self.lock.touch()
        except OSError as error:
            raise UserError(f"cannot write results to {self.path}: {error.strerror}") from error

    def write_description(self, description: dict[str, Any]) -> None:
        write_json(self.run_json, description)

    def check_identity(self, identity: dict[str, Any]) -> dict[str, Any] | None:
        """`description`; UserError if it is of a run that differs in a key of `identity`."""
        description = self.description()
        if description is None:
            return None
        if "identity" not in description:
            raise self._no_description()
        if differing := identities.differences(description["identity"], identity):
            raise UserError(
                f"{self.path} belongs to another run ({differing}); "
                "move it away, or give --results another folder"
            )
        return description

    def read_state(self, identity: dict[str, Any]) -> tuple[Summary | None, list[EpochRecord]]:
        """The summary, None if the run has not ended, and the records.

        Raises UserError if the directory is not that of `identity`, or if its files are damaged or
        contradict each other.
        """
        summary = self.summary()
        description = self.check_identity(identity)
        rows = self.rows()
        self.layers.rows()
        if summary is None:
            return None, rows
        if description is None:
            raise UserError(f"{self.run_json} is missing; {AGAIN}")
        last = dataclasses.asdict(rows[-1]) if rows else {}
        if contradiction := seals.contradiction(last, summary.final):
            raise UserError(f"{self.epochs_csv}: {contradiction}; {AGAIN}")
        return summary, rows

    def rows(self) -> list[EpochRecord]:
        """The records so far, oldest first; an incomplete last line is skipped."""
        rows = self.epochs.rows()
        for before, row in pairwise(rows):
            if row.iteration <= before.iteration:
                where = f"iteration {row.iteration} after {before.iteration}"
                raise UserError(f"{self.epochs_csv}: damaged: {where}")
        return rows

    def append(self, record: EpochRecord) -> None:
        """Add a row and flush it to disk."""
        self.epochs.append([record])

    def has_checkpoint(self) -> bool:
        """Whether there is a checkpoint, perhaps only the one before the last."""
        return self.checkpoint.exists() or self.checkpoint_before.exists()

    def marks(self) -> dict[str, Mark]:
        """What the CSVs hold, by name. Raises UserError if they are not what the run wrote."""
        return {file.path.name: file.mark() for file in (self.epochs, self.layers)}

    def cut(self, marks: dict[str, Mark]) -> None:
        """Remove the rows after `marks`. Raises UserError if those before it differ."""
        for file in (self.epochs, self.layers):
            file.cut(marks[file.path.name])

    def keep_rows(self, count: int) -> list[EpochRecord]:
        """Remove the rows after the first `count`, the checkpoint's; returns the others."""
        kept = self.rows()[:count]
        self.epochs.keep(kept)
        return kept


def run_folders(suite: Path) -> list[Path]:
    """The folders in a suite's folder that hold a run, of which a file may be missing."""
    names = ("run.json", "summary.json")
    found = [path.parent for name in names for path in find_paths(suite, f"*/seed-*/{name}")]
    return sorted(set(found))
