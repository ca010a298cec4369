"""Cured runs in training: killed and resumed, failing beside others, exported."""

import multiprocessing
import os
import queue
import signal
import threading
import time
from collections.abc import Sequence
from dataclasses import replace
from multiprocessing.synchronize import Event
from pathlib import Path

import pytest
import torch
from filelock import FileLock

from resnet_bench.cures.treatment import built_network
from resnet_bench.errors import UserError
from resnet_bench.paths import SUITES_FOLDER
from resnet_bench.records.run_directory import RunDirectory
from resnet_bench.suites.cure_file import find_cure
from resnet_bench.suites.experiment import Experiment, Run
from resnet_bench.suites.suite import load_suite
from resnet_bench.sweeps import worker as sweeps_worker
from resnet_bench.sweeps.group import run_group
from resnet_bench.sweeps.machine import Machine
from resnet_bench.sweeps.progress import Progress
from resnet_bench.sweeps.sweep import sweep
from resnet_bench.training.evaluation import evaluate
from tests.support.calls import Call
from tests.support.cures import BLOCK, ON_GRADIENTS, SUITE, experiment_of
from tests.support.runs_on_disk import assert_same, stop_at
from tests.support.states import data_of

# One of each hook: initial weights, block, optimizer, gradients.
OF_EACH_HOOK = ("mirrored", "dirac", "muon", "decaying-shortcut")


def train_until_killed(runs: Sequence[Run], machine: Machine, reached: Event) -> None:
    """Train in lockstep to the second record; within its last evaluations wait to be killed."""

    def listen(progresses: Sequence[Progress]) -> bool:
        (*_, last) = progresses
        here = last.status == "measuring" and last.measured > 5500
        if here and last.run == runs[-1]:
            reached.set()
            time.sleep(600)
        return True

    run_group(runs, machine, listen)


def test_a_killed_group_of_cures_beside_their_control_ends_with_the_bits_of_each_alone(
    small: tuple[Experiment, ...], machine: Machine
) -> None:
    plain = small[0]
    cured = [
        replace(plain, network_name=name, cures=(find_cure(name, {}, SUITES_FOLDER, "test"),))
        for name in OF_EACH_HOOK
    ]
    runs = [Run(experiment, 0) for experiment in (plain, *cured)]
    alone = replace(machine, results=machine.results.with_name("alone"))
    for run in runs:
        run_group([run], alone)
    spawn = multiprocessing.get_context("spawn")
    reached = spawn.Event()
    eager = replace(machine, checkpoint_seconds=0.0)
    process = spawn.Process(target=train_until_killed, args=(runs, eager, reached))
    process.start()
    assert process.pid is not None
    while not reached.wait(0.1):
        assert process.is_alive()
    os.kill(process.pid, signal.SIGKILL)
    process.join()
    for run in runs:
        directory = RunDirectory(run.directory(machine.results))
        assert directory.status() == "partial"
        assert directory.checkpoint.exists()
    assert {end.status for end in run_group(runs, machine)} == {"finished"}
    for run in runs:
        assert_same(run, machine, alone)


@pytest.fixture
def in_worker(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    """`train_group` works in this process."""
    stop, interrupt_evaluation, abort = (threading.Event() for _ in range(3))
    worker = sweeps_worker.Worker(
        machine, stop, interrupt_evaluation, abort, queue.Queue(), parent=0
    )
    monkeypatch.setattr(sweeps_worker, "_worker", worker, raising=False)


LATER = "network.bn.num_batches_tracked >= 10"  # the trial trains fewer
FAULTS = {
    "on_gradients fails: ValueError: no": f"{ON_GRADIENTS}if {LATER}: raise ValueError('no')",
    "on_gradients fails: SystemExit: 3": f"{ON_GRADIENTS}if {LATER}: raise SystemExit(3)",
    "forward or backward fails: ValueError: no": BLOCK
    + "    def forward(self, x):\n        if self.training and self.bn1.num_batches_tracked > 9:\n"
    "            raise ValueError('no')\n        return super().forward(x)",
    "forward in evaluation fails: ValueError: no": BLOCK
    + "    def forward(self, x):\n        if not self.training and len(x) > 2:\n"
    "            raise ValueError('no')\n        return super().forward(x)",
    "optimizer fails: ValueError: no": "import torch\nclass SGD(torch.optim.SGD):\n"
    "    def step(self, closure=None):\n"
    "        group = self.param_groups[0]\n        group['n'] = group.get('n', 0) + 1\n"
    "        if group['n'] > 10:\n            raise ValueError('no')\n        super().step()\n"
    "def optimizer(parameters, recipe, options):\n"
    "    return SGD(parameters, recipe.learning_rate)\n",
    "its layers cannot be measured: IndexError": "from torch import nn\nclass Block(nn.Module):\n"
    "    def __init__(self, inputs, width, stride, spec, options):\n        super().__init__()\n"
    "        self.body = nn.Sequential(nn.Conv2d(inputs, width, 3, stride, 1))\n"
    "    def forward(self, x):\n        return self.body(x)",
}


@pytest.mark.parametrize("message", FAULTS)
@pytest.mark.usefixtures("in_worker")
def test_a_cure_that_fails_in_training_ends_its_own_run_with_one_line(
    tmp_path: Path, machine: Machine, message: str
) -> None:
    suite = SUITE.replace("[networks]", "layers_at = [0]\n\n[networks]")
    table = '\n[experiments.cured]\nlike = "plain-8"\ncure = "idea"\n'
    failing = Run(experiment_of(tmp_path, FAULTS[message], suite + table), 0)
    control = Run(load_suite("mine", tmp_path).experiments[0], 0)
    ends = sweeps_worker.train_group([failing, control])
    assert [(end.run, end.status) for end in ends] == [(failing, "failed"), (control, "finished")]
    assert ends[0].mistake.startswith(f"mine/cured/seed-0: cure idea: {message}")
    assert "\n" not in ends[0].mistake
    alone = replace(machine, results=machine.results.with_name("alone"))
    run_group([control], alone)
    assert_same(control, machine, alone)


@pytest.mark.usefixtures("in_worker")
def test_a_run_that_cannot_be_opened_leaves_its_group_alone(
    runs: list[Run], machine: Machine
) -> None:
    directory = RunDirectory(runs[0].directory(machine.results))
    directory.create()
    with FileLock(directory.lock):
        ends = sweeps_worker.train_group(runs)
    assert [end.status for end in ends] == ["elsewhere", "finished"]


def test_a_sweep_loads_its_cures_before_it_trains(tmp_path: Path, machine: Machine) -> None:
    experiment_of(tmp_path, "raise SystemExit(0)")
    runs = [Run(experiment, 0) for experiment in load_suite("mine", tmp_path).experiments]
    with pytest.raises(UserError, match=r"idea\.py cannot be imported: SystemExit: 0"):
        sweep(runs, machine)
    assert not list(machine.results.glob("*/*/*/run.json"))


def test_a_failed_run_of_a_sweep_is_a_mistake_and_the_others_finish(
    tmp_path: Path, machine: Machine
) -> None:
    experiment_of(tmp_path, f"{ON_GRADIENTS}if {LATER}:\n        raise SystemExit(0)")
    runs = [Run(experiment, 0) for experiment in load_suite("mine", tmp_path).experiments]
    outcome = sweep(runs, machine, workers=1)
    (mistake,) = outcome.mistakes
    assert mistake.startswith("mine/cured/seed-0: cure idea: on_gradients fails: SystemExit: 0")
    assert (outcome.exit_code(), outcome.crashes) == (2, [])
    assert outcome.in_words(3) == "2 of 3 runs finished"


def test_the_exported_weights_of_a_cured_run_have_its_test_error(
    tmp_path: Path, machine: Machine, call: Call, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = (
        "import torch\n" + BLOCK + "        self.factor = torch.nn.Parameter(torch.zeros(()))\n"
        "        self.register_buffer('steps', torch.zeros(()))\n"
        "    def residual(self, x):\n"
        "        return (1 + self.factor) / (1 + self.steps) * super().residual(x)\n"
        + ON_GRADIENTS
        + "for stage in network.stages:\n        stage[0].steps.add_(0.01)\n"
    )
    run = Run(experiment_of(tmp_path, source), 0)
    run_group([run], machine, stop_at(11))
    (end,) = run_group([run], machine)
    assert end.last_record is not None
    monkeypatch.setattr("resnet_bench.suites.suite.find_experiment.__defaults__", ((), tmp_path))
    command = ("export", "mine/cured", "--results", str(machine.results))
    answer = call(*command)
    assert answer.code == 0
    assert f"test accuracy {1 - end.last_record.test_error:.2%}" in answer.output
    network = built_network(run.experiment)
    weights = run.directory(machine.results) / "weights.pt"
    network.load_state_dict(torch.load(weights, weights_only=True))
    data = data_of(run.experiment)
    network = network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    assert evaluate(network, data, data.test, "ieee").error == end.last_record.test_error

    (tmp_path / "cures/idea.py").write_text(source + "# changed\n")
    assert "belongs to another run (cures.idea.sha256 is" in call(*command).errors
    (tmp_path / "cures/idea.py").unlink()
    answer = call(*command)
    assert answer.code == 2
    assert answer.errors.startswith(
        "error: mine.toml: experiments.cured: cure: unknown cure 'idea'"
    )
    assert answer.errors.count("\n") == 1
