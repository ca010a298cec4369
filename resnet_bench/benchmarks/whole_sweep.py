"""Wall time of a whole sweep, including start, evaluation and records, for `make bench-gpu`."""

import math
import subprocess
import sys
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from unittest.mock import patch

import pandas as pd
import torch

from resnet_bench.benchmarks.interleaved import table_text
from resnet_bench.datasets.load import Images
from resnet_bench.suites.experiment import Run
from resnet_bench.suites.suite import load_suite
from resnet_bench.sweeps import group
from resnet_bench.sweeps.machine import Machine

RESUMABLE = 75


@dataclass(frozen=True)
class TimedSweep:
    """A sweep for some minutes; the next call continues it, and the times are added."""

    suite: str
    output: Path
    data_folder: Path | None  # of the real data set
    synthetic: tuple[Images, Images] | None  # used instead of it, if not None
    minutes: float  # after these the sweep stops and can be continued

    def run(self) -> None:
        """Train, then print and write the wall times of all calls so far."""
        started = time.perf_counter()
        code, memory = self._real() if self.synthetic is None else self._synthetic(self.synthetic)
        call = {
            "started": datetime.now(UTC).isoformat(timespec="seconds"),
            "pixels": "real" if self.synthetic is None else "synthetic",
            "seconds": round(time.perf_counter() - started, 2),
            "exit code": code,
            "GPU GiB": memory,
        }
        path = self.output / f"sweep-{self.suite}.csv"
        row = pd.DataFrame([call]).set_index("started")
        row.to_csv(path, mode="a", header=not path.exists())
        calls = pd.read_csv(path, index_col="started")
        print("\n" + table_text(calls))
        same = calls["seconds"][calls["pixels"] == call["pixels"]]
        state = f"ended with code {code}"
        if code == RESUMABLE:
            state = "stopped in time; call again to continue"
        print(f"{same.sum() / 60:.2f} minutes of wall time in {len(same)} calls; {state}")

    def _real(self) -> tuple[int, float]:
        """Run the command `sweep` in a new process; returns its exit code and no memory."""
        options = ["--device", "cuda", "--wandb", "disabled"]
        options += ["--time-limit", f"{60 * self.minutes:.0f}s"]
        options += ["--results", str(self.output / "results")]
        if self.data_folder is not None:
            options += ["--data-dir", str(self.data_folder)]
        command = [sys.executable, "-m", "resnet_bench", "sweep", self.suite, *options]
        return subprocess.run(command).returncode, math.nan

    def _synthetic(self, images: tuple[Images, Images]) -> tuple[int, float]:
        """Train the sweep's group in this process; returns an exit code and GiB of GPU memory."""
        deadline = time.monotonic() + 60 * self.minutes
        runs = [Run(experiment, 0) for experiment in load_suite(self.suite).experiments]
        # The name keeps these runs apart from results.
        machine = Machine(self.output / "trained-on-random-pixels", device="cuda")
        with patch.object(group, "load_dataset", lambda *_: images):
            ended = group.run_group(runs, machine, lambda _: time.monotonic() < deadline)
        for progress in ended:
            print(progress.in_words())
        stopped = any(progress.status == "stopped" for progress in ended)
        return RESUMABLE if stopped else 0, torch.cuda.max_memory_reserved() / 2**30
