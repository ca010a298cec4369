"""Facts of this machine: devices, cores, folders; nothing here decides a result."""

import os
from dataclasses import dataclass
from pathlib import Path

from resnet_bench.errors import UserError
from resnet_bench.gpu.setting import Norm, Speedup
from resnet_bench.tracking.environment import Mode


@dataclass(frozen=True)
class Machine:
    """Facts of this machine and this call; none of them changes a result."""

    results: Path
    device: str | None = None  # "cpu", "cuda", "cuda:1"; None picks a GPU where there is one
    data_folder: Path | None = None
    wandb_mode: Mode = "disabled"
    checkpoint_seconds: float = 30.0  # between checkpoints; resuming is exact from any iteration
    lock_seconds: float = 0.0  # how long to wait for a run that another process holds
    graphs: bool | None = None  # steps as CUDA graphs; None: wherever there is a GPU
    lanes: int | None = None  # how many states step at the same time on a GPU; None chooses
    norm: Norm | None = None  # what computes batch norm on a GPU
    speedups: tuple[Speedup, ...] | None = None  # of graphs on a GPU

    def refuse_gpu_options(self) -> None:
        """Raises UserError, for a CPU, if an option is given that only a GPU has."""
        if self.graphs or self.lanes or self.norm or self.speedups:
            raise UserError("--graphs, --lanes, --norm and --speedups need a CUDA device")


def may_have_gpu() -> bool:
    """False where there is certainly no CUDA GPU; found out without importing torch."""
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


def find_devices(wanted: str | None) -> list[str]:
    """The devices to work on: the one `wanted`, or all GPUs, or the CPU where there are none.

    Raises UserError if the one wanted is not there.
    """
    if wanted == "cpu" or (wanted is None and not may_have_gpu()):
        return ["cpu"]
    import torch

    from resnet_bench.training.precision import find_device

    device = find_device(wanted)
    if wanted is not None or device.type != "cuda":
        return [str(device)]
    return [f"cuda:{index}" for index in range(torch.cuda.device_count())]


def why_no_gpu() -> str:
    """A sentence why PyTorch cannot use a GPU whose driver is installed; "" without a driver."""
    if not has_nvidia_driver() or os.environ.get("CUDA_VISIBLE_DEVICES") in ("", "-1"):
        return ""
    import torch

    found = f"NVIDIA's driver is here, but PyTorch {torch.__version__}"
    if torch.version.cuda is None:
        return f"{found} is a build without CUDA: training on the CPU."
    return (
        f"{found} finds no GPU it can use: training on the CPU. "
        f"(nvidia-smi says whether there is one, and its driver fits CUDA {torch.version.cuda}.)"
    )
