"""A group of runs, trained from what is on disk to their ends; every command trains through it.

Finished runs are skipped, and those that another process holds; partial ones are resumed. For each
record the row is written first, then the checkpoint, then W&B's copy. Layers are measured between
two iterations, where the recipe asks for it.
"""

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import torch

from resnet_bench.datasets.load import load_dataset
from resnet_bench.errors import UserError
from resnet_bench.gpu.lockstep import LaneStep
from resnet_bench.gpu.norms import chosen_norm, use_norm
from resnet_bench.gpu.setting import measured_setting
from resnet_bench.suites.experiment import Experiment, Run
from resnet_bench.sweeps.machine import Machine
from resnet_bench.sweeps.open_run import OpenRun, ended_or_open
from resnet_bench.sweeps.progress import Progress
from resnet_bench.sweeps.resume import attempts_in
from resnet_bench.training.batches import BatchStream
from resnet_bench.training.data import TrainingData
from resnet_bench.training.loop import EvaluationInterruptedError, train
from resnet_bench.training.precision import (
    executed_precision,
    find_device,
    set_determinism,
    set_precision,
)
from resnet_bench.training.state import TrainingState
from resnet_bench.training.step import Step, eager_step

OnProgress = Callable[[Sequence[Progress]], bool]


def run_group(
    runs: Sequence[Run], machine: Machine, on_progress: OnProgress | None = None
) -> list[Progress]:
    """Train the `runs`, which share data set, seed and batches, in lockstep; return how each ended.

    `on_progress` is called before every iteration, with status "measuring" after every batch of
    an evaluation, and when a run ends. When it returns False, the group stops with everything on
    disk, except the record that was being measured. Raises UserError for a mistake of the user's,
    RunError for one that the others of the group could go on without.
    """
    device = find_device(machine.device)
    if device.type != "cuda":
        machine.refuse_gpu_options()
    on_progress = on_progress or (lambda _: True)
    first = runs[0].experiment
    set_up_process(first, device)
    with ExitStack() as stack, memory_suffices(machine):
        found = [ended_or_open(run, device, machine, stack) for run in runs]
        opened = [each for each in found if isinstance(each, OpenRun)]
        done = [each for each in found if isinstance(each, Progress)]
        if done:
            on_progress(done)
        if not opened:
            return done
        data = training_data(first, machine.data_folder, device)
        stream = BatchStream(first.recipe, first.train_images, runs[0].seed)
        step, execution = _choose_step(opened, machine)
        if isinstance(step, LaneStep):
            stack.callback(step.close)
        for run in opened:
            run.begin_attempt(len(opened), execution)
        _Training(opened, machine, on_progress, data).run(stream, step)
    return done + [run.progress("stopped") for run in opened]


@contextmanager
def memory_suffices(machine: Machine) -> Iterator[None]:
    """Raises UserError, with what to do, if a GPU's memory is full within the context."""
    try:
        yield
    except torch.OutOfMemoryError as error:
        way_out = "--no-graphs takes less, a network at a time"
        if machine.graphs is False:
            way_out = "--device cpu trains without it"
        raise UserError(f"the GPU's memory is full; {way_out}") from error


def set_up_process(experiment: Experiment, device: torch.device) -> None:
    """Set threads, precision and determinism of this process: all of them decide bits."""
    torch.set_num_threads(1)  # on a CPU, results are bit-stable for a fixed number only
    set_precision(executed_precision(experiment.recipe.precision, device), device)
    set_determinism(True, device)
    if device.index is not None:
        torch.cuda.set_device(device)


def _choose_step(runs: Sequence[OpenRun], machine: Machine) -> tuple[Step, dict[str, object]]:
    """The function that executes the group's steps, and what run.json says of it."""
    states = [run.state for run in runs]
    if states[0].device.type != "cuda":
        return eager_step, {"deterministic": True, "graphs": False, "lanes": 1}
    suites = {machine.results / state.run.experiment.suite for state in states}
    attempts = [attempt for suite in suites for attempt in attempts_in(suite)]
    measured = measured_setting(machine.results, states[0].device, states[0].recipe.precision)
    norm = chosen_norm(attempts, machine.norm, measured.norm)
    for state in states:
        use_norm(state.network, norm)
    graphs = machine.graphs is not False
    lanes = machine.lanes or (measured.lanes if graphs else None)  # it was measured with graphs
    speedups = measured.speedups if machine.speedups is None else machine.speedups
    step = LaneStep(states, lanes=lanes, graphs=graphs, speedups=speedups)
    deterministic = torch.are_deterministic_algorithms_enabled()
    return step, {
        "deterministic": deterministic,
        "graphs": step.graphs,
        "lanes": len(step.lanes),
        "norm": norm,
        "speedups": list(step.speedups),
    }


class _Training:
    """One call of the training loop: writes what it yields, and passes its progress on."""

    def __init__(
        self, runs: list[OpenRun], machine: Machine, on_progress: OnProgress, data: TrainingData
    ) -> None:
        self.runs = {run.state.run: run for run in runs}
        self.active = list(runs)
        self.checkpoint_seconds = machine.checkpoint_seconds
        self.on_progress = on_progress
        self.data = data
        self.saved_at = time.monotonic()

    def run(self, stream: BatchStream, step: Step) -> None:
        rows = train(
            [run.state for run in self.active],
            stream,
            self.data,
            step=step,
            measure=step.measure if isinstance(step, LaneStep) else None,
            should_continue=self.should_continue,
            on_batch=lambda state: self.on_progress([self.runs[state.run].progress("measuring")]),
        )
        try:
            for state, row in rows:
                self.runs[state.run].write(row)
            self.measure_and_end()
        except EvaluationInterruptedError:
            pass  # the next training makes this record first
        for run in self.active:  # stopped
            run.save()

    def measure_and_end(self) -> None:
        """Measure the layers that are due, and close the runs that have ended."""
        if due := [run for run in self.active if run.layers_due]:
            wait_for_device([run.state for run in self.active])
        for run in due:
            run.measure_layers(self.data)
        for run in [run for run in self.active if not run.state.active]:
            run.save()
            run.end()
            self.active.remove(run)
            self.on_progress([run.progress("stopped")])

    def should_continue(self) -> bool:
        self.measure_and_end()
        if time.monotonic() - self.saved_at >= self.checkpoint_seconds:
            wait_for_device([run.state for run in self.active])
            for run in self.active:
                run.save()
            self.saved_at = time.monotonic()
        return self.on_progress([run.progress("training") for run in self.active])


def wait_for_device(states: Sequence[TrainingState]) -> None:
    """Wait until a GPU has done its work, and count the wait as training time."""
    if not states or states[0].device.type != "cuda":
        return
    started = time.perf_counter()
    torch.cuda.synchronize(states[0].device)
    elapsed = time.perf_counter() - started
    for state in states:
        state.interval_seconds += elapsed
        state.seconds += elapsed


_last_data: dict[tuple[Any, ...], TrainingData] = {}


def training_data(
    experiment: Experiment, folder: Path | None, device: torch.device
) -> TrainingData:
    """The images as tensors on `device`; those of the last call where they are the same."""
    key = (folder, device, *experiment.preprocessing())
    if key not in _last_data:
        _last_data.clear()
        train_images, test_images = load_dataset(experiment.dataset, folder)
        _last_data[key] = TrainingData(experiment, train_images, test_images, device)
    return _last_data[key]
