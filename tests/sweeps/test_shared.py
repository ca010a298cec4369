"""A sweep where processes cannot share anything, and one that make did not start."""

import errno
import os
import shutil
import subprocess
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from multiprocessing import current_process
from pathlib import Path
from typing import Any

import pytest

from resnet_bench.records.run_directory import RunDirectory
from resnet_bench.suites.experiment import Run
from resnet_bench.sweeps import shared, watchdog
from resnet_bench.sweeps.group import run_group
from resnet_bench.sweeps.machine import Machine
from resnet_bench.sweeps.progress import Outcome, Progress
from resnet_bench.sweeps.sweep import sweep
from resnet_bench.tracking import thread
from tests.support.runs_on_disk import assert_same


def failing(number: int) -> Callable[[], None]:
    def lock() -> None:
        raise OSError(number, os.strerror(number))

    return lock


@pytest.mark.parametrize("number", [errno.EROFS, errno.ENOSPC, errno.ENOENT])
def test_without_shared_memory_runs_are_trained_in_one_process(
    number: int,
    runs: list[Run],
    machine: Machine,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(thread, "_warning_sink", None)  # to be restored
    monkeypatch.setattr(shared.SPAWN, "Lock", failing(number))
    monkeypatch.setattr(shared.SPAWN, "Event", failing(number))
    monkeypatch.setattr(shared.SPAWN, "Queue", failing(number))
    outcome = sweep(runs, machine)
    assert (outcome.exit_code(), outcome.in_words(2)) == (0, "2 of 2 runs finished")
    assert f"/dev/shm cannot be used ({os.strerror(number)})" in capsys.readouterr().err
    alone = replace(machine, results=tmp_path / "alone")
    for run in runs:
        run_group([run], alone)
        assert_same(run, machine, alone)


@pytest.mark.skipif(not shared.SHARED_MEMORY.exists(), reason="locks are files on Linux alone")
def test_locks_of_killed_sweeps_are_removed_by_the_next(monkeypatch: pytest.MonkeyPatch) -> None:
    config = current_process()._config  # type: ignore[attr-defined]
    monkeypatch.setitem(config, "semprefix", config["semprefix"])  # to be restored
    ended = subprocess.Popen(["true"])
    ended.wait()
    named = {
        name: shared.SHARED_MEMORY / f"sem.{shared.OWN}{process}-{name}"
        for name, process in (("old", ended.pid), ("new", ended.pid), ("live", os.getpid()))
    }
    for path in named.values():
        path.touch()
        os.utime(path, (0, time.time() if path == named["new"] else 0))
    try:
        assert shared.why_alone() == ""
        assert not named["old"].exists()
        assert named["new"].exists()
        assert named["live"].exists()
        assert config["semprefix"] == f"/{shared.OWN}{os.getpid()}"
    finally:
        for path in named.values():
            path.unlink(missing_ok=True)


def test_a_run_that_is_removed_after_its_end_is_not_counted(
    runs: list[Run], machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    def and_remove(outcome: Outcome, ended: list[Progress]) -> None:
        outcome.ended += ended
        for end in ended[:1]:
            if end.run == runs[0]:
                shutil.rmtree(end.run.directory(machine.results))

    monkeypatch.setattr(Outcome, "add", and_remove)
    outcome = sweep(runs, machine, workers=1)
    assert (outcome.exit_code(), outcome.in_words(2)) == (2, "1 of 2 runs finished")
    (mistake,) = outcome.mistakes
    assert mistake.endswith("removed after it ended")


def test_where_not_all_workers_can_start_none_trains_on(
    runs: list[Run], machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    submit, submitted = ProcessPoolExecutor.submit, iter((True, False))

    def one_only(*arguments: Any) -> Any:
        if next(submitted):
            return submit(*arguments)
        raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))

    monkeypatch.setattr(ProcessPoolExecutor, "submit", one_only)
    with pytest.raises(OSError, match="Too many open files"):
        sweep(runs, machine, workers=2)
    assert {RunDirectory(run.directory(machine.results)).status() for run in runs} == {"missing"}


def test_an_inherited_variable_of_make_does_not_tie_a_sweep_to_a_shell(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(watchdog, "LAUNCHER", 1 << 30)  # as if it had been killed
    monkeypatch.setenv("MAKELEVEL", "1")
    monkeypatch.delenv("RESNET_BENCH_SHELL", raising=False)
    assert not watchdog.make_is_gone()
    monkeypatch.setenv("RESNET_BENCH_SHELL", "12345")  # inherited, of another shell
    assert not watchdog.make_is_gone()
    monkeypatch.setenv("RESNET_BENCH_SHELL", str(1 << 30))
    assert watchdog.make_is_gone()
