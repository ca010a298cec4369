"""The fast path, bit for bit, on a GPU; skipped where there is none."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest
import torch

from resnet_bench.datasets.load import load_dataset
from resnet_bench.gpu.lockstep import LaneStep
from resnet_bench.gpu.setting import SPEEDUPS, Speedup
from resnet_bench.gpu_check import plan
from resnet_bench.gpu_check.parts import Part
from resnet_bench.gpu_check.site import Site, require_equal
from resnet_bench.records.epochs import TIME_COLUMNS
from resnet_bench.records.run_directory import RunDirectory
from resnet_bench.suites.experiment import Run
from resnet_bench.suites.suite import find_experiment
from resnet_bench.sweeps.group import run_group
from resnet_bench.sweeps.machine import Machine
from resnet_bench.sweeps.progress import Progress
from resnet_bench.sweeps.worker import CUDA_SETTINGS
from resnet_bench.training.batches import BatchStream
from resnet_bench.training.data import TrainingData
from resnet_bench.training.loop import train
from resnet_bench.training.precision import executed_precision, set_determinism, set_precision
from resnet_bench.training.state import TrainingState, new_state

# Read once, at the process's first product, whichever test makes it.
for _name, _value in CUDA_SETTINGS.items():
    os.environ.setdefault(_name, _value)

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device"),
]
ROOT = Path(__file__).parents[2]
GPU = torch.device("cuda")
STEPS = 50  # on 8x8 digits; the drop at 25 is inside a graph's life
CHANGES = f"iterations={STEPS}+drops=[25]"
NAMES = tuple(f"smoke/{n}" for n in ("plain-8", "resnet-14-A", "resnet-8-B", "resnet-14-B"))


@pytest.fixture(autouse=True)
def deterministic() -> Iterator[None]:
    set_determinism(True, GPU)
    yield
    torch.use_deterministic_algorithms(False)


def states_of(*names: str, precision: str) -> list[TrainingState]:
    named = [f"{name}+{CHANGES}+precision={precision}" for name in names]
    runs = [Run(find_experiment(name), 0) for name in named]
    set_precision(executed_precision(runs[0].experiment.recipe.precision, GPU), GPU)
    return [new_state(run, GPU) for run in runs]


def run_all(states: Sequence[TrainingState], step: LaneStep) -> list[float]:
    """Train the group to its end; its training losses."""
    experiment = states[0].run.experiment
    data = TrainingData(experiment, *load_dataset(experiment.dataset), GPU)
    stream = BatchStream(experiment.recipe, experiment.train_images, 0)
    try:
        return [record.train_loss for _, record in train(states, stream, data, step=step)]
    finally:
        step.close()


# Of the speedups all together, in TF32, and what bf16 adds; gpu-check tries each alone, too.
SPEEDUP_PARTS = [p for p in plan.gates_of_speedups() if p.name.endswith(("casts", "speedups"))]
PARTS = [*plan.gates(), *plan.gates_of_fused_norm(), *SPEEDUP_PARTS]


@pytest.mark.parametrize("part", PARTS, ids=lambda part: part.name)
def test_the_gates_hold_at_full_size(part: Part) -> None:
    assert part.work(Site(GPU))


def test_a_diverging_member_leaves_the_others_alone() -> None:
    names = (f"{NAMES[0]}+learning_rate=1e+30", NAMES[1])
    group = states_of(*names, precision="tf32")
    run_all(group, LaneStep(group))
    (alone,) = states_of(NAMES[1], precision="tf32")
    run_all([alone], LaneStep([alone]))
    assert group[0].diverged_at is not None
    require_equal(group[1:], [alone])


@pytest.mark.filterwarnings("ignore:Synchronization debug mode")
@pytest.mark.parametrize("speedups", [(), SPEEDUPS])
def test_a_step_never_waits_for_the_gpu(speedups: Sequence[Speedup]) -> None:
    states = states_of(*NAMES, precision="tf32")
    experiment = states[0].run.experiment
    data = TrainingData(experiment, *load_dataset(experiment.dataset), GPU)
    stream = BatchStream(experiment.recipe, experiment.train_images, 0)
    step = LaneStep(states, speedups=speedups)
    for iteration in range(30):  # over the drop of the rate at 25
        if iteration == 2:  # the captures are made, and may wait
            torch.cuda.set_sync_debug_mode("error")
        try:
            step(states, data.batch(stream.draw(iteration)))
        except RuntimeError:
            torch.cuda.set_sync_debug_mode("default")
            raise
        for state in states:
            state.iteration += 1
    torch.cuda.set_sync_debug_mode("default")
    step.close()


def results(machine: Machine, runs: Sequence[Run]) -> list[object]:
    """Rows without their times, and weights, of finished runs."""
    found: list[object] = []
    for run in runs:
        directory = RunDirectory(run.directory(machine.results))
        rows = directory.rows()
        found += [{k: v for k, v in vars(r).items() if k not in TIME_COLUMNS} for r in rows]
        state = torch.load(directory.checkpoint, weights_only=True, map_location="cpu")
        found += [tensor.tolist() for tensor in state["network"].values()]
    return found


@pytest.mark.parametrize("iteration", [1, 23, 31])
def test_resumed_is_uninterrupted(tmp_path: Path, iteration: int) -> None:
    runs = [Run(find_experiment(f"{name}+{CHANGES}"), 0) for name in NAMES[:2]]
    whole = Machine(tmp_path / "whole", device="cuda")
    pieces = Machine(tmp_path / "pieces", device="cuda")

    def stop(progresses: Sequence[Progress]) -> bool:
        return all(progress.iteration < iteration for progress in progresses)

    run_group(runs, whole)
    run_group(runs[:1], pieces, stop)  # so that the states then stand at different iterations
    run_group(runs, pieces)
    assert results(pieces, runs) == results(whole, runs)
    eager = Machine(tmp_path / "eager", device="cuda", graphs=False)
    run_group(runs, eager)
    assert results(eager, runs) == results(whole, runs)


def test_two_processes_agree(tmp_path: Path) -> None:
    found = []
    for name in ("first", "second"):
        options = ["--wandb", "disabled", "--device", "cuda", "--results", str(tmp_path / name)]
        command = [sys.executable, "-m", "resnet_bench", "sweep", "smoke", *options]
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        machine = Machine(tmp_path / name)
        runs = [Run(find_experiment(n), 0) for n in ("smoke/plain-8", "smoke/resnet-14-B")]
        found.append(results(machine, runs))
        description = json.loads((runs[0].directory(machine.results) / "run.json").read_text())
        attempt = description["attempts"][-1]
        assert (attempt["graphs"], attempt["deterministic"]) == (True, True)
        assert attempt["group_size"] == 6
    assert found[0] == found[1]
