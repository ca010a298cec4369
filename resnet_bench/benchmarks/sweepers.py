"""Our training loop as a sweep runs it on a CPU: a single-threaded process for each network."""

from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from multiprocessing.synchronize import Barrier

import torch

from resnet_bench.benchmarks.yardsticks import SEED
from resnet_bench.suites.experiment import Experiment, Run
from resnet_bench.sweeps.group import training_data
from resnet_bench.sweeps.worker import environment_of_workers
from resnet_bench.training.batches import BatchStream
from resnet_bench.training.state import TrainingState, new_state
from resnet_bench.training.step import eager_step

CPU = torch.device("cpu")


class Sweepers:
    """A process for each of `experiments`, which trains on request."""

    def __init__(self, experiments: Sequence[Experiment]) -> None:
        self.name = f"ours ({len(experiments)} processes, 1 thread each)"
        self.experiments = experiments
        context = get_context("spawn")
        barrier = context.Barrier(len(experiments))
        self.pool = ProcessPoolExecutor(len(experiments), context, _begin, (barrier,))
        with environment_of_workers():
            self.train(1)  # the processes begin here

    def train(self, steps: int) -> None:
        list(self.pool.map(_train, self.experiments, [steps] * len(self.experiments)))

    def close(self) -> None:
        self.pool.shutdown()


# Of one of the processes.
_barrier: Barrier
_states: list[TrainingState] = []


def _begin(barrier: Barrier) -> None:
    global _barrier
    _barrier = barrier
    torch.set_num_threads(1)


def _train(experiment: Experiment, steps: int) -> None:
    _barrier.wait()  # so that no process takes the steps of another
    if not _states:
        _states.append(new_state(Run(experiment, SEED), CPU))
    data = training_data(experiment, None, CPU)  # loaded once
    stream = BatchStream(experiment.recipe, experiment.train_images, SEED)
    for _ in range(steps):
        eager_step(_states, data.batch(stream.draw(_states[0].iteration)))
        _states[0].iteration += 1
