"""Sweeps on a real Ray cluster of two nodes: the same bits, whatever is lost on the way."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from resnet_bench.records.run_directory import RunDirectory
from resnet_bench.suites.experiment import Run
from resnet_bench.suites.suite import load_suite
from resnet_bench.sweeps.group import run_group
from resnet_bench.sweeps.machine import Machine
from tests.conftest import SMALL_SUITE
from tests.support.runs_on_disk import assert_same

pytest.importorskip("ray", reason="pip's extra [ray] is not installed")
pytestmark = [
    pytest.mark.filterwarnings("default"),  # Ray's own
    pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="finds workers in /proc"),
]
ROOT = Path(__file__).parents[2]
MEMORY = 80_000_000  # bytes of a node's object store


@pytest.fixture(scope="module")
def cluster() -> Iterator[Any]:
    """A cluster whose head has one core; each test adds the other node that it needs."""
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    from ray.cluster_utils import Cluster

    head = {"num_cpus": 1, "include_dashboard": False, "object_store_memory": MEMORY}
    quick = {"health_check_period_ms": 500, "health_check_failure_threshold": 4}
    made = Cluster(initialize_head=True, head_node_args=head | {"_system_config": quick})
    yield made
    made.shutdown()


@pytest.fixture
def node(cluster: Any) -> Iterator[Any]:
    """The second node, with another core."""
    made = cluster.add_node(num_cpus=1, object_store_memory=MEMORY)
    yield made
    if made in cluster.list_all_nodes():
        cluster.remove_node(made)


@pytest.fixture(scope="module")
def long_suites(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A suite, `long`, of two networks that train for seconds."""
    folder = tmp_path_factory.mktemp("experiments")
    (folder / "long.toml").write_text(SMALL_SUITE.format(iterations=400))
    return folder


@pytest.fixture(scope="module")
def alone(long_suites: Path, tmp_path_factory: pytest.TempPathFactory) -> Machine:
    """The runs of `long`, trained here, one after the other."""
    machine = Machine(tmp_path_factory.mktemp("alone"), "cpu")
    for run in runs_of(long_suites):
        run_group([run], machine)
    return machine


def runs_of(suites: Path) -> list[Run]:
    return [Run(experiment, 0) for experiment in load_suite("long", suites).experiments]


def sweep(cluster: Any, suites: Path, results: Path) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "resnet_bench", "--suites", str(suites), "sweep", "long"]
    command += ["--launcher", "ray", "--address", cluster.address, "--wandb", "disabled"]
    command += ["--results", str(results), "--checkpoint-seconds", "0.5"]
    pipe = subprocess.PIPE
    return subprocess.Popen(command, cwd=ROOT, text=True, stdout=pipe, stderr=pipe)


def interrupted(
    cluster: Any, suites: Path, results: Path, interrupt: Callable[[int], object]
) -> tuple[int, str, str]:
    """A sweep that `interrupt`, given its process id, disturbs once both runs have a checkpoint."""
    with sweep(cluster, suites, results) as process:
        while process.poll() is None and len(list(results.glob("long/*/*/checkpoint.pt"))) < 2:
            time.sleep(0.02)
        assert process.poll() is None, process.communicate()
        interrupt(process.pid)
        output, errors = process.communicate()
    return process.returncode, output, errors


def workers(node: Any) -> list[int]:
    """The processes of a node that train a task."""
    raylet = node.all_processes["raylet"][0].process.pid
    found = []
    for path in Path("/proc").glob("[0-9]*"):
        try:
            parent = int((path / "stat").read_text().rpartition(")")[2].split()[1])
            if parent == raylet and b"_try" in (path / "cmdline").read_bytes():
                found.append(int(path.name))
        except OSError:
            continue  # it has ended
    return found


def attempts(suites: Path, results: Path) -> list[list[int]]:
    """The first iteration of each attempt of each run."""
    found = []
    for run in runs_of(suites):
        description = RunDirectory(run.directory(results)).description()
        assert description is not None
        found.append([attempt["first_iteration"] for attempt in description["attempts"]])
    return found


def test_a_sweep_that_is_interrupted_goes_on_to_the_bits_of_the_local_launcher(
    cluster: Any, node: Any, long_suites: Path, alone: Machine, tmp_path: Path
) -> None:
    def interrupt(process: int) -> None:
        os.kill(process, signal.SIGINT)

    code, output, errors = interrupted(cluster, long_suites, tmp_path, interrupt)
    assert code == 130, errors
    assert "the same command resumes" in output
    assert "Traceback" not in errors
    with sweep(cluster, long_suites, tmp_path) as process:
        output, errors = process.communicate()
    assert process.returncode == 0, errors
    assert "2 of 2 runs finished" in output
    assert [len(each) for each in attempts(long_suites, tmp_path)] == [2, 2]
    assert all(second > 0 for _, second in attempts(long_suites, tmp_path))
    for run in runs_of(long_suites):
        assert_same(run, Machine(tmp_path), alone)
    before = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*.*")}
    with sweep(cluster, long_suites, tmp_path) as process:  # recomputes nothing
        output, errors = process.communicate()
    assert "2 of 2 runs finished" in output
    assert before == {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*.*")}


def test_a_killed_worker_costs_a_retry(
    cluster: Any, node: Any, long_suites: Path, alone: Machine, tmp_path: Path
) -> None:
    def interrupt(_: int) -> None:
        os.kill(workers(node)[0], signal.SIGKILL)

    code, output, errors = interrupted(cluster, long_suites, tmp_path, interrupt)
    assert_a_retry_and_nothing_else(code, output, errors, long_suites, alone, tmp_path)


def test_a_removed_node_costs_a_retry(
    cluster: Any, node: Any, long_suites: Path, alone: Machine, tmp_path: Path
) -> None:
    def interrupt(_: int) -> None:
        assert workers(node)
        cluster.remove_node(node, allow_graceful=False)

    code, output, errors = interrupted(cluster, long_suites, tmp_path, interrupt)
    assert_a_retry_and_nothing_else(code, output, errors, long_suites, alone, tmp_path)


def assert_a_retry_and_nothing_else(
    code: int, output: str, errors: str, suites: Path, alone: Machine, results: Path
) -> None:
    assert code == 0, errors
    assert "2 of 2 runs finished" in output
    assert "error" not in errors
    first, second = sorted(attempts(suites, results), key=len)
    assert len(first) == 1
    assert len(second) == 2
    assert second[1] > 0
    for run in runs_of(suites):
        assert_same(run, Machine(results), alone)


def test_what_a_cluster_has_not_is_one_line(
    cluster: Any, long_suites: Path, tmp_path: Path
) -> None:
    for options, words in (
        (["--gpus-per-run", "0.5"], "the Ray cluster has no GPU"),
        (["--workers", "2"], "--workers"),
    ):
        command = [sys.executable, "-m", "resnet_bench", "sweep", "smoke", "--launcher", "ray"]
        command += ["--address", cluster.address, "--results", str(tmp_path), *options]
        done = subprocess.run(command, cwd=ROOT, text=True, capture_output=True, check=False)
        assert done.returncode == 2
        assert done.stderr.startswith("error: ")
        assert words in done.stderr
        assert done.stderr.count("\n") == 1
