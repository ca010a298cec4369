"""Which runs share a group, and how a run says that its steps are executed."""

import queue
import sys
import threading
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import nn

from resnet_bench import __main__ as command_line
from resnet_bench.commands import train
from resnet_bench.errors import CaptureError, UserError
from resnet_bench.gpu import setting
from resnet_bench.gpu.captured_step import CapturedStep
from resnet_bench.gpu.lockstep import LaneStep
from resnet_bench.gpu.norms import NativeBatchNorm, chosen_norm
from resnet_bench.gpu.setting import Setting, measured_setting, this_gpu
from resnet_bench.records.files import write_json
from resnet_bench.records.run_directory import RunDirectory
from resnet_bench.suites.experiment import Experiment, Run
from resnet_bench.suites.suite import find_experiment, load_suite
from resnet_bench.sweeps import group as sweeps_group
from resnet_bench.sweeps import worker as sweeps_worker
from resnet_bench.sweeps.group import run_group
from resnet_bench.sweeps.machine import Machine
from resnet_bench.sweeps.progress import Progress
from resnet_bench.sweeps.resume import attempts_in
from resnet_bench.sweeps.sweep import group_runs
from resnet_bench.sweeps.worker import CUDA_SETTINGS, environment_of_workers
from tests.support.lanes import NAMES
from tests.support.states import states_of


def test_graphs_and_lanes_are_refused_on_a_cpu(machine: Machine, small: list[Experiment]) -> None:
    for change in (
        *({"graphs": True}, {"lanes": 2}, {"norm": "native"}),
        {"speedups": ("ring",)},
    ):
        with pytest.raises(UserError, match="need a CUDA device"):
            run_group([Run(small[0], 0)], replace(machine, **change))
    assert not machine.results.exists()


def test_an_attempt_says_how_its_steps_were_executed(
    machine: Machine, small: list[Experiment]
) -> None:
    run = Run(small[0], 0)
    run_group([run], replace(machine, graphs=False))
    description = RunDirectory(run.directory(machine.results)).description()
    assert description is not None
    (attempt,) = description["attempts"]
    assert (attempt["deterministic"], attempt["graphs"], attempt["lanes"]) == (True, False, 1)


def test_a_group_shares_seed_and_batches() -> None:
    cifar = [Run(e, seed) for seed in (0, 1) for e in load_suite("cifar10").experiments]
    other = Run(find_experiment("cifar10/plain-20+batch_size=64"), 0)
    rate = Run(find_experiment("cifar10/plain-20+learning_rate=0.05"), 0)
    groups = group_runs([*cifar, other, rate], one_by_one=False)
    assert sorted(len(group) for group in groups) == [1, 12, 13]
    for group in groups:
        assert len({run.seed for run in group}) == 1
        assert len({run.experiment.recipe.batch_size for run in group}) == 1
    for record in ("iterations=63000", "records_per_epoch=2", "clean_every=3"):
        apart = Run(find_experiment(f"cifar10/plain-20+{record}"), 0)
        assert len(group_runs([*cifar[:12], apart], one_by_one=False)) == 2
    bf16 = [Run(e, 0) for e in load_suite("cifar10-bf16").experiments]
    assert len(group_runs([*cifar[:12], *bf16], one_by_one=False)) == 2  # precision is a process's


def test_workers_get_cudas_settings_unless_the_user_has_others(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    import os

    monkeypatch.delenv("CUDA_DEVICE_MAX_CONNECTIONS", raising=False)
    monkeypatch.setenv("CUBLAS_WORKSPACE_CONFIG", ":16:8")
    with environment_of_workers():
        assert os.environ["CUBLAS_WORKSPACE_CONFIG"] == ":16:8"
        assert os.environ["CUDA_DEVICE_MAX_CONNECTIONS"] == "32"
    assert "CUDA_DEVICE_MAX_CONNECTIONS" not in os.environ
    assert CUDA_SETTINGS["CUBLAS_WORKSPACE_CONFIG"] == ":4096:8"


def test_the_suite_in_bfloat16_differs_in_precision_alone() -> None:
    tf32, bf16 = load_suite("cifar10"), load_suite("cifar10-bf16")
    assert bf16.recipe.model_copy(update={"precision": "tf32"}) == tf32.recipe
    assert [e.spec for e in bf16.experiments] == [e.spec for e in tf32.experiments]


@pytest.mark.parametrize(
    ("options", "graphs", "lanes", "norm", "speedups"),
    [
        ({}, True, 2, "cudnn", []),
        ({"graphs": False}, False, 1, "cudnn", []),
        (
            {"graphs": True, "lanes": 1, "norm": "native", "speedups": ("ring",)},
            *(True, 1, "native", ["ring"]),
        ),
    ],
)
def test_the_runner_takes_graphs_on_a_gpu(
    options: dict[str, Any],
    graphs: bool,
    lanes: int,
    norm: str,
    speedups: list[str],
    machine: Machine,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """With states that say they are on a GPU, and streams that are not."""
    monkeypatch.setattr(torch.cuda, "Stream", lambda _: None)
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda _: "a card")
    gpu = torch.device("cuda")
    states: Any = [
        SimpleNamespace(
            **{"device": gpu, "run": state.run, "recipe": state.recipe},
            **{"network": state.network, "optimizer": state.optimizer},
        )
        for state in states_of(NAMES[0], NAMES[0])
    ]
    monkeypatch.setattr(CapturedStep, "of", lambda state, _: CapturedStep(state, None, state))  # type: ignore[arg-type]
    runs: Any = [SimpleNamespace(state=s) for s in states]
    step, execution = sweeps_group._choose_step(runs, replace(machine, **options))
    assert isinstance(step, LaneStep)
    assert (step.graphs, len(step.lanes)) == (graphs, lanes)
    # Not deterministic: what this process really is.
    assert execution == {
        **{"deterministic": False, "graphs": graphs},
        **{"lanes": lanes, "norm": norm, "speedups": speedups},
    }
    kinds = {type(m) for m in states[0].network.modules() if isinstance(m, nn.BatchNorm2d)}
    assert kinds == {NativeBatchNorm if norm == "native" else nn.BatchNorm2d}
    machine.results.mkdir()  # what was measured holds where nothing is asked for, with graphs
    fastest = {"fastest": {states[0].recipe.precision: {"lanes": 1, "norm": "native"}}}
    fastest["fastest"][states[0].recipe.precision]["speedups"] = ["casts"]
    write_json(machine.results / setting.FILE, this_gpu(gpu) | fastest)
    _, measured = sweeps_group._choose_step(runs, replace(machine, **options))
    assert measured["lanes"] == 1
    assert measured["norm"] == "native"
    assert measured["speedups"] == (["casts"] if not options else speedups)
    fastest["fastest"][states[0].recipe.precision]["lanes"] = 2
    write_json(machine.results / setting.FILE, this_gpu(gpu) | fastest)
    _, measured = sweeps_group._choose_step(runs, replace(machine, **options))
    assert measured["lanes"] == (2 if not options else 1)


def test_a_suite_has_one_batch_norm(machine: Machine, small: list[Experiment]) -> None:
    """At every seed that of the runs that are on disk already; damaged ones say nothing."""
    for seed, text in enumerate(('{"attempts": [{"norm": "fused"}, {}]}', "{", "{}")):
        folder = Run(small[seed % 2], seed).directory(machine.results)
        folder.mkdir(parents=True)
        (folder / "run.json").write_text(text)
    attempts = list(attempts_in(machine.results / small[0].suite))
    assert attempts == [{"norm": "fused"}, {}]
    assert chosen_norm(attempts, None, "cudnn") == "fused"
    assert list(attempts_in(machine.results / "another")) == []


def test_a_resumed_run_keeps_its_batch_norm() -> None:
    """Another one has other last bits, and resumed is to be uninterrupted."""
    begun: list[dict[str, Any]] = [{"norm": "native"}, {"lanes": 1}]
    assert chosen_norm(begun, None, "cudnn") == "native"
    assert chosen_norm([], None, None) == "cudnn"
    assert chosen_norm([], None, "native") == "native"
    assert chosen_norm([], "cudnn", "native") == "cudnn"
    with pytest.raises(UserError, match=r"'cudnn' would be mixed with 'native'"):
        chosen_norm(begun, "cudnn", None)


def test_a_measured_setting_holds_for_its_card_and_versions(
    machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    gpu, path = torch.device("cuda"), machine.results / setting.FILE
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda _: "a card")
    assert measured_setting(machine.results, gpu, "tf32") == Setting()
    found = this_gpu(gpu) | {
        "fastest": {"tf32": {"lanes": 3, "norm": "native", "speedups": ["ring"]}}
    }
    machine.results.mkdir()
    write_json(path, found)
    assert measured_setting(machine.results, gpu, "tf32") == Setting(3, "native", ("ring",))
    assert measured_setting(machine.results, gpu, "bf16") == Setting()
    write_json(path, found | {"fastest": {"tf32": {"lanes": 3, "norm": "native"}}})
    assert measured_setting(machine.results, gpu, "tf32") == Setting(3, "native")
    write_json(path, found | {"card": "another"})
    assert measured_setting(machine.results, gpu, "tf32") == Setting()
    for damaged in ("{", "[]", "{}"):
        path.write_text(damaged)
        with pytest.raises(UserError, match=r"gpu-check\.json: cannot be read"):
            measured_setting(machine.results, gpu, "tf32")


def test_the_command_line_passes_graphs_and_lanes_on(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[Machine] = []
    monkeypatch.setattr(train, "_train", lambda runs, machine, *_: seen.append(machine))
    for command in (["run", "smoke/plain-8"], ["sweep", "smoke"]):
        for extra in (
            [],
            ["--no-graphs", "--speedups", "none"],
            [*("--graphs", "--lanes", "3", "--norm", "native"), "--speedups", "casts, ring,casts"],
        ):
            arguments = ["resnet_bench", *command, "--wandb", "disabled", *extra]
            monkeypatch.setattr(sys, "argv", arguments)
            with pytest.raises(SystemExit):
                command_line.main()
    expected = [
        (None, None, None, None),
        (False, None, None, ()),
        (True, 3, "native", ("ring", "casts")),
    ]
    assert [(m.graphs, m.lanes, m.norm, m.speedups) for m in seen] == expected * 2


def test_after_a_failed_capture_a_process_trains_nothing_more(
    machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It leaves torch in the capture: what is computed then is not to be trusted."""
    calls = []

    def fails(group: list[Run], *_: object) -> list[Progress]:
        calls.append(group)
        raise CaptureError("smoke/plain-8: its step cannot be captured")

    stop, interrupt_evaluation, abort = (threading.Event() for _ in range(3))
    worker = sweeps_worker.Worker(
        machine, stop, interrupt_evaluation, abort, queue.Queue(), parent=0
    )
    monkeypatch.setattr(sweeps_worker, "_worker", worker, raising=False)
    monkeypatch.setattr(sweeps_group, "run_group", fails)
    groups = [[Run(find_experiment("smoke/plain-8"), seed)] for seed in (0, 1)]
    for group in groups:
        with pytest.raises(UserError, match="smoke/plain-8: its step cannot be captured"):
            sweeps_worker.train_group(group)
    assert calls == groups[:1]
    assert not worker.busy


@pytest.mark.parametrize(("graphs", "way_out"), [(None, "--no-graphs"), (False, "--device cpu")])
def test_a_gpu_that_is_too_small_is_one_line_with_the_way_out(
    machine: Machine,
    small: list[Experiment],
    monkeypatch: pytest.MonkeyPatch,
    graphs: bool | None,
    way_out: str,
) -> None:
    run, machine = Run(small[0], 0), replace(machine, graphs=graphs)

    def full(*_: object) -> None:
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 MiB")

    with monkeypatch.context() as patch:
        patch.setattr(sweeps_group, "eager_step", full)
        with pytest.raises(UserError, match=way_out) as info:
            run_group([run], machine)
    assert str(info.value).startswith("the GPU's memory is full; ")
    assert "\n" not in str(info.value)
    (progress,) = run_group([run], machine)  # whoever frees some can go on
    assert progress.status == "finished"
