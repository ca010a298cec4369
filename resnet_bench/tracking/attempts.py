"""W&B's files on disk: a directory for each attempt at a run, online or offline."""

import json
import os
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from resnet_bench.errors import UserError
from resnet_bench.paths import expanded


@dataclass(frozen=True)
class Attempt:
    """One of W&B's run directories: [offline-]run-<time>-<run id>."""

    path: Path
    log: Path  # run-<run id>.wandb: everything that the attempt has logged

    @property
    def run_id(self) -> str:
        return self.log.stem.removeprefix("run-")

    @property
    def mark(self) -> Path:
        """W&B's marker that the server has received everything; its sync skips such attempts."""
        return self.log.with_suffix(".wandb.synced")

    def contents(self) -> tuple[dict[str, Any], bool]:
        """The last value of each metric in the log, and whether the log is whole.

        A killed process, or a full disk, may leave a torn or an empty log.
        """
        records, complete = self._records()
        latest: dict[str, Any] = {}
        for record in records:
            latest |= record["history"]["item"] if record["type"] == "history" else {}
        described = any(record["type"] == "run" for record in records)
        return latest, described and complete

    @property
    def ends_twice(self) -> bool:
        """Whether the process gave up waiting for the run's end, and W&B then ended it again.

        W&B's sync uploads such a log, but takes the second end for a failure and makes no mark.
        """
        return sum(record["type"] == "exit" for record in self._records()[0]) > 1

    def _records(self) -> tuple[list[dict[str, Any]], bool]:
        """The records of the log, and whether its file is complete.

        Raises UserError if wandb-core, which reads it, cannot be executed.
        """
        from wandb.util import get_core_path

        command = [get_core_path(), "leet", "inspect", "--no-observability", "--json"]
        command += ["--run-file", str(self.log), str(self.path.parent)]
        try:
            result = subprocess.run(command, capture_output=True, text=True, check=True)
        except OSError as error:
            raise UserError(f"{command[0]} cannot be executed: {error.strerror}") from error
        except subprocess.CalledProcessError:
            return [], False
        records = [json.loads(line) for line in result.stdout.splitlines()]
        return records, "incomplete" not in result.stderr


def wandb_folder(folder: Path) -> Path:
    """W&B's directory in WANDB_DIR, by default in `folder`."""
    return expanded(os.environ.get("WANDB_DIR") or folder) / "wandb"


def find_attempts(folder: Path, run_id: str = "*") -> list[Attempt]:
    """The attempts at one run, or at all runs, in W&B's directory `folder`, oldest first.

    Raises UserError if the folder cannot be read.
    """
    try:
        logs = list(folder.glob(f"*run-*/run-{run_id}.wandb"))
    except OSError as error:
        raise UserError(f"{folder}: cannot be read: {error.strerror}") from error
    attempts = [Attempt(log.parent, log) for log in logs if not log.parent.is_symlink()]
    return sorted(attempts, key=lambda attempt: attempt.path.name.removeprefix("offline-"))
