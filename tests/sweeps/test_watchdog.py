"""A group that stops moving on a GPU ends as one line, and the runs can be resumed."""

import os
import signal
import time
from multiprocessing import active_children
from pathlib import Path

import pytest

from resnet_bench.suites.experiment import Run
from resnet_bench.sweeps import watchdog
from resnet_bench.sweeps.machine import Machine
from resnet_bench.sweeps.pool import Pool
from resnet_bench.sweeps.progress import Outcome, Progress
from resnet_bench.sweeps.sweep import sweep
from resnet_bench.sweeps.watchdog import STALLED, Watchdog


def test_a_group_counts_from_its_first_step_to_its_end(
    runs: list[Run], monkeypatch: pytest.MonkeyPatch
) -> None:
    now = 0.0
    monkeypatch.setattr(time, "monotonic", lambda: now)
    watch, on_cpu = (Watchdog([runs[:1], runs[1:]], on_gpu=gpu) for gpu in (True, False))

    def note(run: Run, iteration: int) -> None:
        for each in (watch, on_cpu):
            each.note(Progress(run, iteration, "training"))

    note(runs[0], 7)  # resumed there
    now = 100
    assert not watch.stalled()  # captures may take their time
    note(runs[0], 8)
    note(runs[1], 0)
    now = 150
    assert not watch.stalled()
    note(runs[0], 8)  # measuring
    now = 205
    assert not watch.stalled()
    watch.forget(runs[:1])
    now = 300
    assert not watch.stalled()
    note(runs[1], 1)
    now = 361
    assert watch.stalled() == STALLED
    assert not watch.stalled()  # said once
    assert not on_cpu.stalled()


def test_a_worker_that_hangs_is_killed_and_its_runs_are_resumed(
    runs: list[Run], machine: Machine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(watchdog, "STALL_SECONDS", 1.0)
    pool = Pool([runs[:1]], machine, ["cpu"], None, Outcome())
    pool.watchdog.on_gpu = True
    note = pool.watchdog.note

    def note_and_stop(progress: Progress) -> None:
        note(progress)
        for process in active_children():
            os.kill(process.pid or 0, signal.SIGSTOP)

    monkeypatch.setattr(pool.watchdog, "note", note_and_stop)
    monkeypatch.setattr(pool.watchdog, "_moved", {0: 0.0})
    pool.run()
    assert pool.outcome.mistakes == [STALLED]
    assert not pool.outcome.crashes
    assert pool.outcome.exit_code() == 2
    (progress,) = sweep(runs[:1], machine, workers=1).ended
    assert progress.status == "finished"
