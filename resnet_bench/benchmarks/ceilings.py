"""What this GPU reaches at best: copies, products and convolutions of comfortable sizes."""

import statistics
from collections.abc import Callable

import torch
from torch.nn import functional as F

from resnet_bench.benchmarks.floors import Ceilings
from resnet_bench.precision import set_determinism, set_precision
from resnet_bench.specification import Precision

PRECISIONS: tuple[Precision, ...] = ("ieee", "tf32", "bf16")
COPIED_BYTES = 2**31  # far more than the L2 cache holds
SIDE = 8192  # of the square matrices
CONVOLUTION = (512, 256, 32)  # images, channels in and out, pixels a side


def measure_ceilings(device: torch.device) -> Ceilings:
    """The best of product and convolution for each precision, and the copy bandwidth."""
    set_determinism(False, device)
    flops = {p: max(product_flops(p, device), convolution_flops(p, device)) for p in PRECISIONS}
    return Ceilings(copy_bandwidth(device), flops)


def copy_bandwidth(device: torch.device) -> float:
    """Bytes a second, read and written counted."""
    source = torch.empty(COPIED_BYTES, dtype=torch.uint8, device=device)
    source.random_()  # zeros take less power, and are faster for it
    target = torch.empty_like(source)
    return 2 * COPIED_BYTES / seconds_of(lambda: target.copy_(source))


def product_flops(precision: Precision, device: torch.device) -> float:
    set_precision(precision, device)
    dtype = torch.bfloat16 if precision == "bf16" else torch.float32
    left, right = torch.randn((2, SIDE, SIDE), device=device, dtype=dtype)
    result = torch.empty_like(left)
    return 2 * SIDE**3 / seconds_of(lambda: torch.mm(left, right, out=result))


def convolution_flops(precision: Precision, device: torch.device) -> float:
    """Of a 3x3 convolution, forward, channels_last."""
    set_precision(precision, device)
    dtype = torch.bfloat16 if precision == "bf16" else torch.float32
    images, channels, side = CONVOLUTION
    maps = torch.randn((images, channels, side, side), device=device, dtype=dtype)
    maps = maps.to(memory_format=torch.channels_last)
    weight = torch.randn((channels, channels, 3, 3), device=device, dtype=dtype)
    weight = weight.to(memory_format=torch.channels_last)
    flop = 2 * 9 * channels**2 * side**2 * images
    with torch.no_grad():
        return flop / seconds_of(lambda: F.conv2d(maps, weight, padding=1))


def seconds_of(work: Callable[[], object], repeats: int = 20) -> float:
    """Median seconds of `work` on the GPU, after a warm-up."""
    for _ in range(5):
        work()
    seconds = []
    for _ in range(repeats):
        start, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
        start.record()
        work()
        end.record()
        end.synchronize()
        seconds.append(start.elapsed_time(end) / 1000)
    return statistics.median(seconds)
