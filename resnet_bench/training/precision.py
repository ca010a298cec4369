"""Devices and the precision of convolutions and products: part of the recipe, and recorded."""

import os
from contextlib import AbstractContextManager, nullcontext

import torch
from torch import Tensor

from resnet_bench.errors import UserError
from resnet_bench.suites.recipe import Precision


def find_device(wanted: str | None) -> torch.device:
    """The device called `wanted` ("cpu", "cuda:1", "mps"); None picks a CUDA GPU, else the CPU.

    Raises UserError if it is not there.
    """
    if wanted is None:
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(wanted)
    except RuntimeError as error:
        raise UserError(f"unknown device {wanted!r}; use cpu, cuda, cuda:N or mps") from error
    if device.type not in ("cpu", "cuda", "mps") or (device.type != "cuda" and device.index):
        raise UserError(f"device {wanted!r} is not supported; use cpu, cuda, cuda:N or mps")
    if device.type == "mps" and not torch.backends.mps.is_available():
        raise UserError("device 'mps' is not there: it is the GPU of Apple's chips")
    if device.type == "cuda" and (device.index or 0) >= torch.cuda.device_count():
        raise UserError(f"device {wanted!r} is not there; {torch.cuda.device_count()} GPUs are")
    return device


def wait_for(device: torch.device) -> None:
    """Wait until a GPU has done all that it was given, in all its streams."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def executed_precision(wanted: Precision, device: torch.device) -> Precision:
    """What `wanted` comes to on `device`: only CUDA GPUs have TF32, others compute in IEEE."""
    return "ieee" if wanted == "tf32" and device.type != "cuda" else wanted


def float64_device(device: torch.device) -> torch.device:
    """Where numbers of `device` are summed in float64: the CPU for Apple's GPU, which has none."""
    return torch.device("cpu") if device.type == "mps" else device


def as_float64(tensor: Tensor) -> Tensor:
    return tensor.to(float64_device(tensor.device)).double()


def set_precision(precision: Precision, device: torch.device) -> None:
    """Set the process to compute float32 convolutions and products as `precision` says.

    PyTorch's convolutions use TF32 on NVIDIA GPUs by default; its matrix products do not.
    """
    if device.type == "cuda":
        float32 = "tf32" if precision == "tf32" else "ieee"
        torch.backends.cudnn.conv.fp32_precision = float32  # type: ignore[attr-defined]
        torch.backends.cuda.matmul.fp32_precision = float32


def set_determinism(deterministic: bool, device: torch.device) -> None:
    """Set the process to give the same bits every time on a GPU, or to whatever is fastest.

    A CPU gives the same bits for a fixed number of threads anyway, so nothing is set there.
    """
    if device.type == "cuda":
        # With workspaces of varying size cuBLAS adds up in varying order, and torch refuses.
        os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
        torch.use_deterministic_algorithms(deterministic)
        # Otherwise the deterministic mode fills every new tensor with NaN, a kernel each.
        torch.utils.deterministic.fill_uninitialized_memory = False  # type: ignore[attr-defined]
        torch.backends.cudnn.deterministic = deterministic
        torch.backends.cudnn.benchmark = not deterministic


def autocast(precision: Precision, device: torch.device) -> AbstractContextManager[object]:
    """The context of a forward pass in the recipe's precision.

    Under bf16 parameters, batch norm's statistics, the loss and the update stay float32; what the
    layers hand on, batch norm's output, sums with shortcuts and logits among it, is bfloat16.
    Errors are counted on those logits: where two are equal in 8 bits, the lower class is taken.
    """
    if precision == "bf16":
        return torch.autocast(device.type, dtype=torch.bfloat16)
    return nullcontext()
