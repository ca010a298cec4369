"""A sweep where processes cannot share anything, and one that make did not start."""

import errno
import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from resnet_bench.suites.experiment import Run
from resnet_bench.sweeps import shared, watchdog
from resnet_bench.sweeps.group import run_group
from resnet_bench.sweeps.machine import Machine
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
