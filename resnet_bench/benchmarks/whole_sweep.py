"""Wall time of a whole sweep, including start, evaluation and records, for `make bench-gpu`."""

import csv
import subprocess
import sys
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from unittest.mock import patch

import torch

from resnet_bench.benchmarks.interleaved import Cell, format_table, write_csv
from resnet_bench.datasets.load import Images
from resnet_bench.suites.experiment import Run
from resnet_bench.suites.suite import load_suite
from resnet_bench.sweeps import group
from resnet_bench.sweeps.machine import Machine

HEADER = ("started", "pixels", "seconds", "exit code", "GPU GiB")
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
        seconds = time.perf_counter() - started
        pixels = "real" if self.synthetic is None else "synthetic"
        now = datetime.now(UTC).isoformat(timespec="seconds")
        rows = [*self._earlier(), [now, pixels, round(seconds, 2), code, memory]]
        write_csv(self._csv, HEADER, rows)
        print("\n" + format_table(HEADER, rows))
        same = [float(row[2] or 0) for row in rows if row[1] == pixels]
        state = f"ended with code {code}"
        if code == RESUMABLE:
            state = "stopped in time; call again to continue"
        print(f"{sum(same) / 60:.2f} minutes of wall time in {len(same)} calls; {state}")

    @property
    def _csv(self) -> Path:
        return self.output / f"sweep-{self.suite}.csv"

    def _earlier(self) -> list[list[Cell]]:
        if not self._csv.exists():
            return []
        with self._csv.open(newline="", encoding="utf-8") as file:
            rows: list[list[Cell]] = [list(row) for row in csv.reader(file)]
        return rows[1:]

    def _real(self) -> tuple[int, float | None]:
        """Run the command `sweep` in a new process; returns its exit code and no memory."""
        options = ["--device", "cuda", "--wandb", "disabled"]
        options += ["--time-limit", f"{60 * self.minutes:.0f}s"]
        options += ["--results", str(self.output / "results")]
        if self.data_folder is not None:
            options += ["--data-dir", str(self.data_folder)]
        command = [sys.executable, "-m", "resnet_bench", "sweep", self.suite, *options]
        return subprocess.run(command).returncode, None

    def _synthetic(self, images: tuple[Images, Images]) -> tuple[int, float | None]:
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
