"""What a sweep and its workers tell each other; no torch, so that the parent starts at once."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from resnet_bench.batches import BatchStream
from resnet_bench.experiments import Run
from resnet_bench.records import EpochRecord, RunDirectory
from resnet_bench.sizes import network_size
from resnet_bench.tracking import Mode


@dataclass(frozen=True)
class Machine:
    """Facts of this machine and this call; none of them changes a result."""

    results: Path
    device: str | None = None  # "cpu", "cuda", "cuda:1"; None picks a GPU where there is one
    data_folder: Path | None = None
    wandb_mode: Mode = "disabled"
    checkpoint_seconds: float = 30.0  # between checkpoints; resuming is exact from any iteration
    graphs: bool | None = None  # steps as CUDA graphs; None: wherever there is a GPU
    lanes: int | None = None  # how many members step at the same time on a GPU; None chooses


@dataclass(frozen=True)
class Progress:
    """How far a run is: sent at safe points, while errors are measured, and when it ends."""

    run: Run
    iteration: int
    status: Literal["training", "measuring", "stopped", "finished", "diverged"]
    measured: int = 0  # images passed forward for the records, over all attempts
    seconds: float = 0.0  # training time over all attempts
    last_record: EpochRecord | None = None

    def in_words(self, width: int = 0) -> str:
        """The line for a run that has ended; its title takes `width` columns, or what it needs."""
        name = f"{title(self.run):<{width}}"
        row = self.last_record
        if self.status == "diverged" or row is None:
            return f"{name}   {self.status} at iteration {self.iteration}"
        precise = row.precise_train_error  # what tables and verdict say; in every last record
        train = row.train_error if precise is None else precise
        errors = f"train error {train:7.2%}   test error {row.test_error:7.2%}"
        return f"{name}   {errors}   {self.seconds:7.1f} s"


def title(run: Run) -> str:
    """What a run is called within its suite."""
    return f"{run.experiment.network_name} seed {run.seed}"


def finished(run: Run, machine: Machine) -> Progress | None:
    """How `run` ended, if it has.

    Raises UserError if its directory belongs to another recipe, or has lost records.
    """
    directory = RunDirectory(run.directory(machine.results))
    summary, rows = directory.so_far(run.identity())
    if summary is None:
        return None
    last = rows[-1] if rows else None
    measured = measured_images(run, len(rows))
    return Progress(run, summary.iteration, summary.status, measured, summary.seconds, last)


def work(run: Run) -> int:
    """Multiply-adds of the whole run, its records' included: what progress is measured in."""
    stream = BatchStream(run.experiment.recipe, run.experiment.train_images, run.seed)
    measured = measured_images(run, stream.records())
    return work_done(run, run.experiment.recipe.iterations, measured)


def work_done(run: Run, iterations: int, measured: int) -> int:
    """Multiply-adds of so many iterations and so many images `measured`.

    An image in training counts for three, forward and twice that backward.
    """
    size = network_size(run.experiment.network, run.experiment.images)
    images = 3 * run.experiment.recipe.batch_size * iterations + measured
    return size.multiply_adds * images


def measured_images(run: Run, records: int) -> int:
    """Images that are passed forward for a run's first `records` records."""
    experiment, recipe = run.experiment, run.experiment.recipe
    train, test = experiment.train_images, experiment.dataset.test_images
    each = test + experiment.dataset.train_images - train  # those are held out
    clean = 2 * train + test + recipe.batch_size * recipe.whole_precise_batches(train)
    stream = BatchStream(recipe, train, run.seed)
    return each * records + clean * sum(map(stream.clean_due, range(1, records + 1)))


def may_have_gpu() -> bool:
    """False where there is surely no CUDA GPU: a look that costs no import of torch."""
    return has_nvidia_driver() or Path("/dev/dxg").exists()  # Windows' GPUs in WSL, of any make


def has_nvidia_driver() -> bool:
    """Whether NVIDIA's driver is loaded, in a container or WSL from outside."""
    traces = ("/dev/nvidiactl", "/dev/nvidia0", "/proc/driver/nvidia")
    return any(Path(trace).exists() for trace in (*traces, "/usr/lib/wsl/lib/libcuda.so.1"))


def available_cores() -> int:
    """Cores that this process may use: by affinity, by a container's quota, else all there are.

    macOS has no affinity; in a container the machine's cores say nothing about the quota.
    """
    from joblib import cpu_count  # scikit-learn's own, which knows all of these

    return int(cpu_count())
