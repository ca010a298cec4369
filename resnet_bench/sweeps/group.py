"""A group of runs from whatever is on disk to finished: the one path of run, sweep and clusters.

Finished runs are skipped, partial ones resumed. For each record the row is on disk first, then
the checkpoint, then the W&B mirror hears of it. Layers are measured between two iterations, where
the recipe asks for it.
"""

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, Literal

import torch

from resnet_bench.datasets.load import load_dataset
from resnet_bench.errors import UserError
from resnet_bench.gpu.lockstep import LaneStep
from resnet_bench.suites.experiment import Experiment, Run
from resnet_bench.sweeps.machine import Machine
from resnet_bench.sweeps.open_run import OpenRun, open_run
from resnet_bench.sweeps.progress import Progress, finished, work_done
from resnet_bench.training.batches import BatchStream
from resnet_bench.training.data import TrainingData
from resnet_bench.training.loop import EvaluationInterruptedError, train
from resnet_bench.training.precision import (
    executed_precision,
    find_device,
    set_determinism,
    set_precision,
)
from resnet_bench.training.state import TrainingState, new_state
from resnet_bench.training.step import Step, eager_step


def go_on(_: Sequence[Progress]) -> bool:
    """The default listener: never stops a group."""
    return True


def run_group(
    runs: Sequence[Run],
    machine: Machine,
    listen: Callable[[Sequence[Progress]], bool] = go_on,
) -> list[Progress]:
    """Train the `runs`, which share data set, seed and batches, in lockstep; say how each ended.

    `listen` is told of the progress at every safe point, and of "measuring" while errors are
    measured; when it returns False the group stops with everything on disk (but for the record
    that was being measured). Raises UserError for what the user can put right.
    """
    device = find_device(machine.device)
    if device.type == "cpu" and (machine.graphs or machine.lanes):
        raise UserError("--graphs and --lanes need a CUDA device")
    first = runs[0].experiment
    set_up_process(first, device)
    with ExitStack() as locks, memory_suffices(machine):
        ended = [done for run in runs if (done := finished(run, machine))]
        pending = [run for run in runs if run not in [done.run for done in ended]]
        if not pending:
            return ended
        data = training_data(first, machine.data_folder, device)
        stream = BatchStream(first.recipe, first.train_images, runs[0].seed)
        records: list[OpenRun] = []
        step: Step | None = None
        try:
            for run in pending:
                records.append(open_run(run, device, machine, locks, len(pending)))
            step = _choose_step(records, machine)
            _train(records, stream, data, machine, step, listen)
        finally:
            if isinstance(step, LaneStep):
                step.close()
            for record in records:
                record.close()
    return ended + [record.progress() for record in records]


@contextmanager
def memory_suffices(machine: Machine) -> Iterator[None]:
    """Raises UserError, which names the way out, if a GPU's memory is full within the context."""
    try:
        yield
    except torch.OutOfMemoryError as error:
        way_out = "--no-graphs takes less, a network at a time"
        if machine.graphs is False:
            way_out = "--device cpu trains without it"
        raise UserError(f"the GPU's memory is full; {way_out}") from error


def set_up_process(experiment: Experiment, device: torch.device) -> None:
    """What a process must have set before it computes: all of it decides bits."""
    torch.set_num_threads(1)  # on a CPU, results are bit-stable for a fixed number only
    set_precision(executed_precision(experiment.recipe.precision, device), device)
    set_determinism(True, device)
    if device.index is not None:
        torch.cuda.set_device(device)


def _choose_step(records: Sequence[OpenRun], machine: Machine) -> Step:
    """How the group's steps are executed, noted in each run's newest attempt."""
    states = [record.state for record in records]
    step: Step = eager_step
    execution = {"deterministic": True, "graphs": False, "lanes": 1}
    if states[0].device.type == "cuda":
        step = LaneStep(states, lanes=machine.lanes, graphs=machine.graphs is not False)
        deterministic = torch.are_deterministic_algorithms_enabled()
        execution = {
            "deterministic": deterministic,
            "graphs": step.graphs,
            "lanes": len(step.lanes),
        }
    for record in records:
        record.description["attempts"][-1] |= execution
        record.directory.write_description(record.description)
    return step


def measure(run: Run, machine: Machine, wanted: Callable[[], bool]) -> float:
    """Seconds for one unit of `work`: the fastest of three steps of `run` that leave no trace.

    0 once it is not `wanted` any more, as between two steps of a large network.
    """
    torch.set_num_threads(1)
    device = find_device(machine.device)
    experiment = run.experiment
    data = training_data(experiment, machine.data_folder, device)
    stream = BatchStream(experiment.recipe, experiment.train_images, run.seed)
    state = new_state(run, device)
    seconds = []
    for iteration in range(4):
        if not wanted():
            return 0.0
        started = time.perf_counter()
        eager_step([state], data.batch(stream.draw(iteration)))
        state.totals.loss.item()  # waits for a GPU
        seconds.append(time.perf_counter() - started)
    return min(seconds[1:]) / work_done(run, 1, 0)


def _train(
    records: Sequence[OpenRun],
    stream: BatchStream,
    data: TrainingData,
    machine: Machine,
    step: Step,
    listen: Callable[[Sequence[Progress]], bool],
) -> None:
    by_run = {record.state.run: record for record in records}
    open_records = list(records)
    saved_at = time.monotonic()

    def measure_and_end() -> None:
        for record in open_records:
            record.measure_layers(data)
        for record in [record for record in open_records if not record.state.active]:
            record.save()
            record.end()
            open_records.remove(record)
            listen([record.progress()])

    def safe_point() -> bool:
        nonlocal saved_at
        measure_and_end()
        if time.monotonic() - saved_at >= machine.checkpoint_seconds:
            _wait([record.state for record in open_records])
            for record in open_records:
                record.save()
            saved_at = time.monotonic()
        return listen([_progress(record.state, "training") for record in open_records])

    def measuring(state: TrainingState) -> bool:
        return listen([_progress(state, "measuring")])

    states = [record.state for record in records]
    rows = train(states, stream, data, step=step, safe_point=safe_point, measuring=measuring)
    try:
        for state, row in rows:
            by_run[state.run].write(row)
        measure_and_end()
    except EvaluationInterruptedError:
        pass  # a group that goes on makes the record first
    for record in open_records:  # stopped
        record.save()


def _wait(states: Sequence[TrainingState]) -> None:
    """Wait for the GPU, on the states' clocks: what it still has to do is training."""
    if not states or states[0].device.type == "cpu":
        return
    started = time.perf_counter()
    torch.cuda.synchronize(states[0].device)
    elapsed = time.perf_counter() - started
    for state in states:
        state.interval_seconds += elapsed
        state.seconds += elapsed


def _progress(state: TrainingState, status: Literal["training", "measuring"]) -> Progress:
    return Progress(
        state.run, state.iteration, status, state.measured, state.seconds, state.last_record
    )


_last_data: dict[tuple[Any, ...], TrainingData] = {}


def training_data(
    experiment: Experiment, folder: Path | None, device: torch.device
) -> TrainingData:
    """The tensors of the last group again, where the next one wants the same."""
    key = (folder, device, *experiment.preprocessing())
    if key not in _last_data:
        _last_data.clear()
        train_images, test_images = load_dataset(experiment.dataset, folder)
        _last_data[key] = TrainingData(experiment, train_images, test_images, device)
    return _last_data[key]
