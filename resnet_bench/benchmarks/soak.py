"""Whether a long run needs more and more: memory and open files of its process, epoch by epoch."""

import os
import tempfile
from collections.abc import Sequence
from pathlib import Path
from statistics import linear_regression

from resnet_bench.suites.experiment import Run
from resnet_bench.suites.suite import find_experiment
from resnet_bench.sweeps.group import run_group
from resnet_bench.sweeps.machine import Machine
from resnet_bench.sweeps.progress import Progress

EPOCHS = 300
BEGINNING = 100  # epochs in which caches fill, left out of the slopes
# An iteration is an epoch, with every record, a checkpoint and W&B's copy.
CHANGES = f"train_images=64+batch_size=64+drops=[]+iterations={EPOCHS}"


def bench_soak() -> None:
    """Train for `EPOCHS` epochs with W&B offline; print memory, open files and their slopes.

    Needs /proc, as Linux has it.
    """
    run = Run(find_experiment(f"smoke/plain-8+{CHANGES}"), 0)
    epochs: list[int] = []
    memory: list[float] = []  # MiB
    files: list[float] = []

    def sample(progresses: Sequence[Progress]) -> bool:
        iteration = progresses[0].iteration
        if progresses[0].status == "training" and iteration > BEGINNING:
            epochs.append(iteration)
            pages = int(Path("/proc/self/statm").read_text().split()[1])
            memory.append(pages * os.sysconf("SC_PAGE_SIZE") / 2**20)
            files.append(len(list(Path("/proc/self/fd").iterdir())))
        return True

    with tempfile.TemporaryDirectory() as folder:
        machine = Machine(Path(folder), "cpu", wandb_mode="offline", checkpoint_seconds=0.0)
        run_group([run], machine, sample)
    print(f"\nsoak: {EPOCHS} epochs in one process, W&B offline, slopes from epoch {BEGINNING} on")
    for name, values in (("memory, MiB", memory), ("open files", files)):
        slope = 100 * linear_regression(epochs, values).slope
        print(f"  {name:<12} {values[0]:8.1f} to {values[-1]:8.1f}, {slope:+.3f} in 100 epochs")
