"""The script for Slurm: its text, what it does on each exit code, a real cluster of two nodes."""

import os
import shutil
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.calls import Call
from tests.support.slurm import Cluster, cluster, why_not
from tests.support.wandb_runs import inspect, of_type
from tests.support.wandb_runs import wandb_environment as wandb_environment  # a fixture

ROOT = Path(__file__).parents[2]
ONE = ("--only", "plain-8", "--wandb", "disabled", "--device", "cpu")


def script(call: Call, *arguments: str) -> str:
    answer = call("sweep", "smoke", *arguments, "--slurm")
    assert (answer.code, answer.errors) == (0, "")
    return answer.output


def test_it_asks_for_a_job_a_seed_and_passes_the_sweeps_options_on(
    call: Call, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("RESNET_BENCH_DATA", raising=False)
    results = tmp_path / "a folder"
    text = script(
        call, "--seeds", "7,0-3,9", *ONE[:4], "--no-graphs", "--workers", "3", "--time-limit",
        "90m", "--results", str(results),
    )  # fmt: skip
    for line in ("array=0-3,7,9", "gres=gpu:1", "cpus-per-task=3", "time=100", "requeue"):
        assert f"#SBATCH --{line}\n" in text
    options = f"--only plain-8 --results '{results}' --wandb disabled --no-graphs --time-limit 90m"
    assert f"-m resnet_bench sweep smoke {options} \\\n" in text
    assert not results.exists()  # nothing is trained
    assert "gpu" not in script(call, *ONE).replace("--partition=gpu", "")
    assert call("sweep", "smoke", "--norm", "no", "--slurm").code == 2  # now, not in each job


@pytest.mark.skipif(not shutil.which("shellcheck"), reason="shellcheck is not installed")
def test_shellcheck_finds_nothing(call: Call) -> None:
    text = script(call, "--results", "it's a folder")
    result = subprocess.run(
        ["shellcheck", "-"], input=text, text=True, capture_output=True, check=False
    )
    assert (result.returncode, result.stdout) == (0, "")


@pytest.mark.parametrize(("limit", "code"), [("0s", 75), ("1h", 0)])
def test_a_job_that_is_out_of_time_asks_to_be_started_again(
    limit: str, code: int, call: Call, tmp_path: Path
) -> None:
    calls = tmp_path / "calls"
    (tmp_path / "scontrol").write_text(f"#!/bin/sh\necho \"$@\" >>'{calls}'\n")
    (tmp_path / "scontrol").chmod(0o755)
    text = script(call, *ONE, "--time-limit", limit, "--results", str(tmp_path / "results"))
    environment = os.environ | {
        "PATH": f"{tmp_path}:{os.environ['PATH']}", "SLURM_ARRAY_JOB_ID": "9",
        "SLURM_ARRAY_TASK_ID": "5", "SLURM_CPUS_PER_TASK": "1",
    }  # fmt: skip
    result = subprocess.run(["bash"], input=text, text=True, env=environment, check=False)
    assert result.returncode == code
    assert calls.exists() == (code == 75)
    if code == 75:
        assert calls.read_text() == "requeue 9_5\n"
    assert (tmp_path / "results/smoke/plain-8/seed-5/summary.json").exists() == (code == 0)


@pytest.fixture(scope="module")
def slurm(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    with cluster(tmp_path_factory.mktemp("slurm")) as found:
        yield found


@pytest.mark.skipif(bool(why_not()), reason=why_not())
def test_an_array_on_two_nodes_is_stopped_and_goes_on_and_gives_the_bits_of_one_machine(
    slurm: Cluster, wandb_environment: None, call: Call, tmp_path: Path
) -> None:
    names = ("--only", "plain-8", "--only", "resnet-8-A", "--seeds", "0-1", "--workers", "2")
    folder = tmp_path / "cluster"
    text = script(
        call, *names, "--wandb", "offline", "--time-limit", "1h", "--results", str(folder)
    )
    stopped = text.replace("--time-limit 1h", '--time-limit "$((SLURM_RESTART_COUNT * 60))m"')
    assert stopped != text  # the first attempt is out of time at once
    job = slurm.call("sbatch", "--parsable", f"--chdir={tmp_path}", text=stopped).strip()
    nodes, begun = set(), set()
    while any(state["JobState"] != "COMPLETED" for state in slurm.states(job).values()):
        for index, state in slurm.states(job).items():
            assert state["JobState"] in ("PENDING", "RUNNING", "COMPLETING", "COMPLETED"), state
            nodes.add(state.get("NodeList", "(null)"))
            if state["JobState"] == "PENDING" and state["Restarts"] == "1" and index not in begun:
                begun.add(index)  # Slurm waits for two minutes, so that old credentials are gone
                slurm.call("scontrol", "update", f"JobId={job}_{index}", "StartTime=now+10")
        time.sleep(0.2)
    assert nodes >= {"one", "two"}
    assert {state["Restarts"] for state in slurm.states(job).values()} == {"1"}
    here = tmp_path / "here"
    assert call("sweep", "smoke", *names, *ONE[2:], "--results", str(here)).code == 0
    assert records(folder) == records(here)
    assert len(records(here)) == 4
    [log] = tmp_path.glob(f"slurm-{job}_1.out")
    assert "2 of 2 runs finished" in log.read_text()
    ids = [path.stem.removeprefix("run-") for path in folder.rglob("*.wandb")]
    groups = {of_type(inspect(folder / "smoke", one)[-1], "run")[0]["run_group"] for one in ids}
    assert groups == {f"slurm-{job}-plain-8", f"slurm-{job}-resnet-8-A"}


@pytest.mark.skipif(bool(why_not()), reason=why_not())
def test_a_cancelled_job_is_not_started_again(slurm: Cluster, call: Call, tmp_path: Path) -> None:
    text = script(call, *ONE, "--results", str(tmp_path / "results"))
    job = slurm.call("sbatch", "--parsable", f"--chdir={tmp_path}", text=text).strip()
    while not list(tmp_path.rglob("run.json")):
        time.sleep(0.1)
    slurm.call("scancel", job)
    while slurm.states(job)["0"]["JobState"] not in ("CANCELLED", "COMPLETED"):
        time.sleep(0.2)
    assert slurm.states(job)["0"]["Restarts"] == "0"


def records(results: Path) -> dict[str, list[list[str]]]:
    """The rows of every run, without the last two columns, which are times."""
    return {
        str(path.relative_to(results)): [
            line.split(",")[:-2] for line in path.read_text().splitlines()
        ]
        for path in results.rglob("epochs.csv")
    }
