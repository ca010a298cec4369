"""Code, versions and machine that produced a run: one entry for each attempt at it."""

import platform
import subprocess
from datetime import UTC, datetime
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import torch

from resnet_bench import paths

# The files that decide a result.
DECIDING = ("resnet_bench", "experiments", "pyproject.toml", "constraints.txt")
PACKAGES = ("resnet_bench", "torchvision", "numpy", "scikit-learn", "wandb")


def new_attempt(
    device: torch.device, group_size: int, first_iteration: int, seconds_before: float
) -> dict[str, Any]:
    """An entry for run.json's `attempts`; `seconds` is training time, without evaluation."""
    commit, dirty = _commit()
    return {
        "started": datetime.now(UTC).isoformat(timespec="seconds"),
        "first_iteration": first_iteration,
        "last_iteration": first_iteration,
        "seconds_before": seconds_before,
        "seconds": 0.0,
        "device": device.type,
        "processor": _processor(device),
        "group_size": group_size,
        "commit": commit,
        "dirty": dirty,
        "versions": _versions(),
    }


@cache
def _versions() -> dict[str, str]:
    # torch.__version__ names the build (+cu126), which the metadata of PyPI's wheels does not.
    versions = {"python": platform.python_version(), "torch": str(torch.__version__)}
    for package in PACKAGES:
        try:
            versions[package] = version(package)
        except PackageNotFoundError:
            continue
    if torch.version.cuda:
        versions["cuda"] = torch.version.cuda
        versions["cudnn"] = str(torch.backends.cudnn.version())
    return versions


@cache
def _commit() -> tuple[str | None, bool | None]:
    """The checkout's commit, and whether a file in DECIDING differs from it; None outside git.

    Files that git does not track count as differences.
    """

    def git(*arguments: str) -> str:
        command = ["git", "-C", str(paths.ROOT), *arguments]
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()

    if not paths.IN_CHECKOUT:  # pip's folder may lie in the repository of something else
        return None, None
    try:
        return git("rev-parse", "HEAD"), bool(git("status", "--porcelain", "--", *DECIDING))
    except (OSError, subprocess.CalledProcessError):
        return None, None


def _processor(device: torch.device) -> str:
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        return next(line.partition(":")[2].strip() for line in lines if "model name" in line)
    except (OSError, StopIteration):
        return platform.processor() or platform.machine()
