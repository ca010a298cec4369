"""`make bench`: the training's speed, measured beside a usual PyTorch loop in the same run.

On a shared machine quote the ratios, not the seconds.
"""

import subprocess
import sys
import tempfile
import time
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from resource import RUSAGE_CHILDREN, getrusage
from typing import Annotated

import torch
import typer

from resnet_bench.benchmarks.interleaved import Contest, contest_table, seconds_of, table_text
from resnet_bench.benchmarks.peers import Peers
from resnet_bench.benchmarks.soak import bench_soak
from resnet_bench.benchmarks.sweepers import Sweepers
from resnet_bench.benchmarks.yardsticks import Setting
from resnet_bench.datasets.load import load_dataset
from resnet_bench.records.epochs import COLUMNS, EpochRecord
from resnet_bench.records.run_directory import RunDirectory
from resnet_bench.suites.experiment import Run
from resnet_bench.suites.suite import find_experiment
from resnet_bench.sweeps.group import training_data
from resnet_bench.sweeps.machine import available_cores
from resnet_bench.tracking.tracker import new_run_id, start_tracking
from resnet_bench.training import checkpoints
from resnet_bench.training.batches import BatchStream
from resnet_bench.training.evaluation import evaluate
from resnet_bench.training.state import new_state
from resnet_bench.training.step import eager_step

EPOCHS = 6  # records of cifar10-short: 2,000 iterations of 128 images
CHECKPOINT_SECONDS = 30.0
RECORD = EpochRecord(**dict.fromkeys(COLUMNS, 1))


def bench(
    part: Annotated[str, typer.Argument(help="sweep, train, records, soak or all")] = "all",
    blocks: Annotated[int, typer.Option(min=1, help="interleaved, of each loop")] = 5,
    seconds: Annotated[float, typer.Option(min=1, help="of each network's loops, about")] = 60.0,
) -> None:
    """Measure the digits sweep, the training loop, the records' cost, and what a long run needs."""
    if part in ("all", "sweep"):
        bench_sweep()  # first: ru_maxrss is the maximum over all earlier child processes
    if part in ("all", "train"):
        for name in ("cifar10/resnet-20-A", "cifar10/resnet-56-A"):
            bench_training(name, Contest(blocks, seconds))
    if part in ("all", "records"):
        bench_records("cifar10-short/resnet-20-A")
    if part in ("all", "soak"):
        bench_soak()


def bench_sweep() -> None:
    """Wall time and memory of the whole digits sweep, without installing the environment."""
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "resnet_bench", "sweep", "digits", "--results", folder]
        started = time.perf_counter()
        done = subprocess.run([*command, "--wandb", "offline"], stdout=subprocess.DEVNULL)
        seconds = time.perf_counter() - started
        rows = [RunDirectory(path).rows() for path in Path(folder).glob("digits/*/seed-0")]
    training = sum(row.seconds for run in rows for row in run)
    memory = getrusage(RUSAGE_CHILDREN).ru_maxrss / (2**20 if sys.platform == "darwin" else 2**10)
    print(f"\ndigits sweep, {len(rows)} networks, exit code {done.returncode}")
    print(f"  wall time          {seconds:8.1f} s, with start, evaluation, records and W&B")
    print(f"  training steps     {training:8.1f} s, summed over processes")
    print(f"  largest process    {memory:8.0f} MiB")


def bench_training(name: str, contest: Contest) -> None:
    """Our loop, as in a sweep with a network a core, and the usual one, interleaved."""
    cores = available_cores()
    torch.set_num_threads(cores)
    experiment = find_experiment(name)
    images = load_dataset(experiment.dataset)
    setting = Setting((experiment,) * cores, images, torch.device("cpu"))
    with closing(Sweepers(setting.experiments)) as ours:
        timed = contest.run([ours, Peers(setting)])
    batch = experiment.recipe.batch_size
    print(f"\n{name}, {cores} networks, batch {batch}, {contest.blocks} blocks")
    print(table_text(contest_table(timed, batch * cores, {})))


def bench_records(name: str) -> None:
    """The time of rows, checkpoints and W&B as a share of a recipe's training time."""
    run = Run(find_experiment(name), 0)
    torch.set_num_threads(1)
    data = training_data(run.experiment, None, torch.device("cpu"))
    state = new_state(run, data.device)
    stream = BatchStream(run.experiment.recipe, run.experiment.train_images, run.seed)
    step = seconds_of(lambda: eager_step([state], data.batch(stream.draw(0))))
    test = seconds_of(lambda: evaluate(state.network, data, data.test, "ieee"))
    with tempfile.TemporaryDirectory() as folder:
        directory = RunDirectory(run.directory(Path(folder)))
        directory.create()
        row = seconds_of(lambda: directory.append(RECORD))
        checkpoint = seconds_of(lambda: checkpoints.save(state, directory.checkpoint))
        wandb = _cost_of_wandb(run, Path(folder))
    training = run.experiment.recipe.iterations * step
    share = (EPOCHS * row + wandb) / training + checkpoint / CHECKPOINT_SECONDS
    print(f"\n{name}, one thread: {step * 1e3:.0f} ms a step, {training:.0f} s in all")
    print(f"  a row on disk      {row * 1e3:8.1f} ms, {EPOCHS} times")
    print(f"  W&B, offline       {wandb * 1e3:8.1f} ms, start, {EPOCHS} rows and end together")
    print(f"  a checkpoint       {checkpoint * 1e3:8.1f} ms, every {CHECKPOINT_SECONDS:.0f} s")
    print(f"  together           {share:8.2%} of the training time")
    print(f"  (test evaluation   {EPOCHS * test / training:8.2%}, {EPOCHS} times)")


def _cost_of_wandb(run: Run, folder: Path) -> float:
    """Seconds of a whole offline W&B run, with its thread's work and the import of wandb."""
    started = time.perf_counter()
    tracker = start_tracking(
        run,
        run.experiment.identity(),
        run_id=new_run_id(run),
        folder=folder,
        mode="offline",
        resumed=False,
    )
    for epoch in range(1, EPOCHS + 1):
        tracker.log(replace(RECORD, epoch=epoch, iteration=epoch))  # an iteration is logged once
    tracker.finish(None)
    return time.perf_counter() - started


if __name__ == "__main__":
    typer.run(bench)
