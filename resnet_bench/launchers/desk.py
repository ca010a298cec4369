"""The results of a sweep whose runs are trained on machines that need not share its disk.

The desk, on the driver's machine, holds the runs' locks, hands out their files and writes what
comes back; it does not know how it is called from afar.
"""

from collections.abc import Iterable
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Any

from resnet_bench.paths import make_folder
from resnet_bench.records.files import write_atomically
from resnet_bench.records.lock import HeldError, locked
from resnet_bench.records.run_directory import RunDirectory
from resnet_bench.suites.experiment import Run
from resnet_bench.sweeps.machine import Machine

Files = dict[str, bytes]  # by their paths in the folder of the results
# Read in this order and written in the other one: so the CSVs hold the rows that a checkpoint
# counts on, and all that a summary seals is there before it.
ORDER = ("summary.json", "checkpoint.pt", "run.json", "layers.csv", "epochs.csv")


class Desk:
    """Each message is from one try of a task, by its name: an earlier one may still be alive."""

    def __init__(self, machine: Machine) -> None:
        self.machine = machine
        self.reports: list[Any] = []
        self.stop = [False] * 3  # which of the driver's events are set
        self.tries: dict[Run, tuple[str, ExitStack]] = {}  # the latest try, and the run's lock

    def begin(self, name: str, runs: list[Run]) -> tuple[Files, list[Run]]:
        """Lock the runs; returns their files, and those runs that another process holds.

        Raises UserError if the results cannot be read or written.
        """
        results, held = self.machine.results, []
        files = read_new(results, results.glob("*.json"), {})  # what was measured on the cards
        for run in runs:
            directory = RunDirectory(run.directory(results))
            directory.create()
            _, lock = self.tries.get(run, ("", ExitStack()))
            if run not in self.tries:
                try:
                    lock.enter_context(locked(directory, self.machine.lock_seconds))
                except HeldError:
                    held.append(run)
                    continue
            self.tries[run] = name, lock
            files |= read_new(results, directory.path.iterdir(), {})
        return files, held

    def exchange(self, name: str, files: Files, reports: list[Any], last: bool) -> list[bool]:
        """Write `files`; returns which of the driver's events are set. All of an outdated try."""
        self.reports += reports
        own = [run for run, (latest, _) in self.tries.items() if latest == name]
        if not own:
            return [True] * 3
        put(self.machine.results, files)
        for run in own if last else ():
            directory = RunDirectory(run.directory(self.machine.results))
            if directory.summary_json.exists():
                directory.checkpoint_before.unlink(missing_ok=True)
            self.tries.pop(run)[1].close()
        return self.stop

    def take(self, stop: list[bool]) -> list[Any]:
        """The reports since the last call; `stop` says which of the driver's events are set."""
        self.stop = stop
        taken, self.reports = self.reports, []
        return taken


def put(folder: Path, files: Files) -> None:
    """Write `files` in their order; raises UserError if that fails."""
    for name, contents in files.items():
        make_folder((folder / name).parent)
        write_atomically(folder / name, contents)


def read_new(folder: Path, paths: Iterable[Path], seen: dict[Path, Any]) -> Files:
    """Those of the files that are not as in `seen`, which is brought up to date; to be `put`."""
    rank = {name: place for place, name in enumerate(ORDER)}
    found = {}
    for path in sorted(paths, key=lambda path: rank.get(path.name, len(ORDER))):
        if path.name.startswith(".") or path.is_symlink() or not path.is_file():
            continue  # locks, and files that are not whole yet
        with suppress(FileNotFoundError):  # replaced or removed meanwhile
            status = path.stat()
            state = (status.st_mtime_ns, status.st_size, status.st_ino)
            if seen.get(path) != state:
                found[str(path.relative_to(folder))] = path.read_bytes()
                seen[path] = state
    return dict(reversed(found.items()))
