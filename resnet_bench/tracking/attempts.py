"""W&B's files on disk: a directory for each attempt at a run, online or offline."""

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any


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

    def summary(self) -> dict[str, Any]:
        """The last value of each metric, which W&B reads from the log; {} if it fails."""
        command = [sys.executable, "-m", "wandb", "leet", "inspect", "--summary", "--json"]
        result = subprocess.run(
            [*command, str(self.path)],
            capture_output=True,
            text=True,
            env=os.environ | {"WANDB_ERROR_REPORTING": "false"},
        )
        return json.loads(result.stdout).get("summary", {}) if result.returncode == 0 else {}


def wandb_folder(folder: Path) -> Path:
    """W&B's directory in WANDB_DIR, by default in `folder`."""
    return Path(os.environ.get("WANDB_DIR") or folder).expanduser() / "wandb"


def find_attempts(folder: Path, run_id: str = "*") -> list[Attempt]:
    """The attempts at one run, or at all runs, in W&B's directory `folder`, oldest first."""
    logs = folder.glob(f"*run-*/run-{run_id}.wandb")
    attempts = [Attempt(log.parent, log) for log in logs if not log.parent.is_symlink()]
    return sorted(attempts, key=lambda attempt: attempt.path.name.removeprefix("offline-"))
