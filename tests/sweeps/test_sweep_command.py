"""The whole command, in processes of its own: interrupted, resumed, out of time."""

import os
import signal
import subprocess
import sys
import time
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import pytest

from resnet_bench.records.run_directory import RunDirectory
from resnet_bench.suites.experiment import Run
from resnet_bench.suites.suite import find_experiment
from resnet_bench.sweeps.group import run_group
from resnet_bench.sweeps.machine import Machine, available_cores
from tests.support.runs_on_disk import assert_same

ROOT = Path(__file__).parents[2]


def command_line(*arguments: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "resnet_bench", *arguments],
        cwd=ROOT,
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )


def sweep_of(results: Path) -> subprocess.Popen[str]:
    # Two at a time, so that there is something left to interrupt on a machine of many cores.
    options = ["--wandb", "disabled", "--device", "cpu", "--workers", "2"]
    return command_line("sweep", "smoke", *options, "--results", str(results))


def status_of(results: Path) -> str:
    with command_line("status", "smoke", "--results", str(results)) as process:
        return process.communicate()[0]


@pytest.fixture(scope="module")
def reference(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The results of a sweep of `smoke` that nobody interrupted."""
    results = tmp_path_factory.mktemp("reference")
    with sweep_of(results) as process:
        output, errors = process.communicate()
    assert process.returncode == 0, errors
    assert "6 of 6 runs finished" in output
    return results


def test_two_sweeps_share_the_work_and_one_sees_its_end(tmp_path: Path, reference: Path) -> None:
    with sweep_of(tmp_path) as one, sweep_of(tmp_path) as other:
        outputs = [process.communicate() for process in (one, other)]
    codes = [process.returncode for process in (one, other)]
    assert 0 in codes  # who ends last
    assert set(codes) <= {0, 75}
    for code, (output, errors) in zip(codes, outputs, strict=True):
        assert "Traceback" not in errors
        assert "error" not in errors
        assert ("6 of 6 runs finished" if code == 0 else " elsewhere: another process") in output
    assert_same_records(tmp_path, reference)


def test_a_sweep_takes_over_what_a_killed_one_was_training(tmp_path: Path, reference: Path) -> None:
    with sweep_of(tmp_path) as killed:
        while killed.poll() is None and not recorded(tmp_path):
            time.sleep(0.02)
        with sweep_of(tmp_path) as other:
            killed.kill()
            output, errors = other.communicate()
    assert other.returncode == 0, errors
    assert "6 of 6 runs finished" in output
    assert_same_records(tmp_path, reference)


def recorded(results: Path) -> int:
    """Bytes in the CSVs of all runs."""
    return sum(path.stat().st_size for path in results.glob("smoke/*/*/epochs.csv"))


def interrupted_sweep(results: Path, number: signal.Signals) -> tuple[int, str, str]:
    """A sweep that hears the signal once it has recorded more: exit code, output, errors."""
    before = recorded(results)
    with sweep_of(results) as process:
        while process.poll() is None and recorded(results) <= before:
            time.sleep(0.02)
        os.kill(process.pid, number)
        # Returns when the workers have left, too: they hold the other end of the pipe.
        output, errors = process.communicate()
    return process.returncode, output, errors


def test_a_sweep_interrupted_again_and_again_goes_on_to_the_same_bits(
    tmp_path: Path, reference: Path
) -> None:
    for number, code in ((signal.SIGINT, 130), (signal.SIGTERM, 75), (signal.SIGKILL, -9)):
        returned, output, errors = interrupted_sweep(tmp_path, number)
        assert returned == code, errors
        if number != signal.SIGKILL:
            assert "the same command resumes" in output
            assert "Traceback" not in errors
        assert "missing" in status_of(tmp_path)
    with sweep_of(tmp_path) as process:
        output, errors = process.communicate()
    assert process.returncode == 0, errors
    assert status_of(tmp_path).count("finished") == 6
    assert_same_records(tmp_path, reference)


def assert_same_records(results: Path, reference: Path) -> None:
    folders = sorted(reference.glob("smoke/*/seed-0"))
    assert len(folders) == 6
    for folder in folders:
        expected = RunDirectory(folder).rows()
        rows = RunDirectory(results / folder.relative_to(reference)).rows()
        assert [r.train_loss for r in rows] == [r.train_loss for r in expected]
        assert [r.precise_test_error for r in rows] == [r.precise_test_error for r in expected]


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="finds processes in /proc")
def test_a_killed_worker_ends_the_sweep_and_the_same_command_goes_on(
    tmp_path: Path, reference: Path
) -> None:
    with sweep_of(tmp_path) as process:
        while process.poll() is None and not recorded(tmp_path):
            time.sleep(0.02)
        os.kill(workers_of(process.pid)[0], signal.SIGKILL)
        output, errors = process.communicate()  # returns when the other workers have left
    assert process.returncode == 1, errors
    assert "a worker process was killed (out of memory?); run again to resume" in errors
    assert "Traceback" not in errors
    with sweep_of(tmp_path) as process:
        output, errors = process.communicate()
    assert process.returncode == 0, errors
    assert "6 of 6 runs finished" in output
    assert_same_records(tmp_path, reference)


def workers_of(parent: int) -> list[int]:
    """The process ids of a sweep's workers."""
    found = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError):  # gone meanwhile
            of_parent = stat.read_text().rpartition(")")[2].split()[1] == str(parent)
            if of_parent and "spawn_main" in (stat.parent / "cmdline").read_text():
                found.append(int(stat.parent.name))
    return found


def test_a_sweep_whose_reader_left_stops(tmp_path: Path) -> None:
    process = sweep_of(tmp_path)
    assert process.stdout is not None
    assert process.stderr is not None
    while not process.stdout.readline():
        assert process.poll() is None
    process.stdout.close()
    process.stderr.read()
    process.stderr.close()
    assert process.wait() == 75


def test_a_sweep_ends_with_the_make_that_started_it(tmp_path: Path, reference: Path) -> None:
    """SIGTERM ends make's shell, and only that."""
    options = f"--wandb disabled --device cpu --workers 2 --results '{tmp_path}'"
    line = f"RESNET_BENCH_SHELL=$$ '{sys.executable}' -m resnet_bench sweep smoke {options}; exit"
    with subprocess.Popen(
        ["sh", "-c", line], cwd=ROOT, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as shell:  # fmt: skip
        while not recorded(tmp_path):
            time.sleep(0.02)
        shell.kill()
        output, errors = shell.communicate()  # when the sweep has left, too
    assert "Stopping ..." in errors
    assert "stopped; the same command resumes" in output
    assert "missing" in status_of(tmp_path)
    with sweep_of(tmp_path) as process:
        process.communicate()
    assert process.returncode == 0
    assert status_of(tmp_path) == status_of(reference)


def test_a_sweep_equals_its_runs_alone(reference: Path, tmp_path: Path) -> None:
    run = Run(find_experiment("smoke/resnet-14-B"), 0)
    machine = Machine(tmp_path, device="cpu")
    run_group([run], machine)
    assert_same(run, machine, replace(machine, results=reference))


def test_a_time_limit_stops_in_time_with_a_code_of_its_own(tmp_path: Path) -> None:
    options = ["--wandb", "disabled", "--device", "cpu", "--results", str(tmp_path)]
    with command_line("run", "digits/plain-20", "--time-limit", "6s", *options) as process:
        output, errors = process.communicate()
    assert process.returncode == 75, errors
    assert "0 of 1 runs finished, stopped; the same command resumes" in output


def test_cores_are_counted_where_there_is_no_affinity(monkeypatch: pytest.MonkeyPatch) -> None:
    """As on macOS; and a limit that is set from outside counts."""
    monkeypatch.setattr(sys, "platform", "darwin")
    monkeypatch.delattr(os, "sched_getaffinity", raising=False)
    assert available_cores() >= 1
    monkeypatch.setenv("LOKY_MAX_CPU_COUNT", "1")
    assert available_cores() == 1
