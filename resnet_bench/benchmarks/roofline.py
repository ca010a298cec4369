"""The least time of training several networks on a GPU, from counts of operations and bytes.

A pass is one read or one write of a convolution's output. The bytes are those of passes over
feature maps; weights fit the cache and are not counted.

Memory, not arithmetic, sets the limit of these networks, since they are narrow. To make one
number of a map, a 3x3 convolution of 16 channels multiplies and adds 144 times, and as often for
each of its two gradients: 864 FLOP. Meanwhile 19 passes carry 76 bytes of float32: 11 FLOP a
byte, and 45 with 64 channels. An H100 carries 3 TB/s and computes 400 TFLOP/s in TF32: it needs
130 FLOP a byte to be busy. Measured steps take three times the limit (results/reference/gpu.md):
the kernels are small, and fill a part of the GPU. Of the 19 passes, 13 belong to batch norm and
ReLU, which compute next to nothing: each operation reads what the one before it wrote. The fused
norm (gpu/fused_norm.py) writes a map once, after norm, addition and ReLU, and finds the ReLU's
gradient in what it reads anyway: 14 passes. Batch norm's mean has to be known before its first
output, and the sums of the gradient before its first gradient, so that each still reads its maps
twice.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import pandas as pd
import torch
from torch.nn import functional as F

from resnet_bench.benchmarks.interleaved import seconds_of
from resnet_bench.datasets.definitions import Dataset
from resnet_bench.networks.sizes import network_size
from resnet_bench.suites.experiment import Experiment
from resnet_bench.suites.network import NetworkSpec
from resnet_bench.suites.recipe import Precision
from resnet_bench.training.precision import set_determinism, set_precision

# Passes over the output of a convolution with batch norm and ReLU. One operation at a time,
# forward: convolution 2, batch norm 3, ReLU 2; backward: ReLU 3, batch norm 5, convolution 4.
EAGER_PASSES = 19
RELU_PASSES = 5  # of the 19; a projection has no ReLU
# Batch norm, ReLU and addition fused, forward: convolution 2, batch norm 3; backward: 5 + 4.
FUSED_PASSES = 14
# Further passes over the output of a residual block. Eager: addition 3, sum of the two gradients
# 3; fused: reading the shortcut 1, and backward the output for the ReLU 1, writing the shortcut's
# gradient 1, sum of the gradients 3.
EAGER_ADDITION_PASSES = 6
FUSED_ADDITION_PASSES = 6

PRECISIONS: tuple[Precision, ...] = ("ieee", "tf32", "bf16")
COPIED_BYTES = 2**31  # far more than the L2 cache holds
SIDE = 8192  # of the square matrices
CONVOLUTION = (512, 256, 32)  # images, channels in and out, pixels a side

FORMULA = f"""\
multiply-adds an image: 3 x the forward pass (forward, gradients of maps and of weights), less the
  gradient of the images, which is not computed; 2 FLOP each
bytes an image: {EAGER_PASSES} passes over each convolution's output ({FUSED_PASSES} with batch \
norm, ReLU and addition fused),
  {EAGER_ADDITION_PASSES} more ({FUSED_ADDITION_PASSES} fused) over each residual block's; 4 bytes \
a number, 2 in bf16
floor: the larger of FLOP / measured FLOP/s and bytes / measured copy bandwidth, both directions"""


class Work(NamedTuple):
    """The cost of training on one image, for one network or for several together."""

    multiply_adds: float
    eager_passes: float  # numbers read or written, one operation at a time
    fused_passes: float

    def flop(self, images: int) -> float:
        return 2 * self.multiply_adds * images

    def bytes(self, images: int, precision: Precision, *, fused: bool = False) -> float:
        numbers = self.fused_passes if fused else self.eager_passes
        return numbers * (2 if precision == "bf16" else 4) * images


def work_of(experiments: Sequence[Experiment]) -> Work:
    """The work of all networks together, for one image each."""
    works = [network_work(experiment.spec, experiment.dataset) for experiment in experiments]
    return Work(*(sum(costs) for costs in zip(*works, strict=True)))


def network_work(spec: NetworkSpec, dataset: Dataset) -> Work:
    size = network_size(spec, dataset)
    first = 9 * dataset.channels * spec.stage_widths[0] * dataset.side**2
    with_relu, projections, additions = _map_numbers(spec, dataset)
    return Work(
        multiply_adds=3 * size.multiply_adds - first,
        eager_passes=EAGER_PASSES * with_relu
        + (EAGER_PASSES - RELU_PASSES) * projections
        + EAGER_ADDITION_PASSES * additions,
        fused_passes=FUSED_PASSES * (with_relu + projections) + FUSED_ADDITION_PASSES * additions,
    )


def _map_numbers(spec: NetworkSpec, dataset: Dataset) -> tuple[int, int, int]:
    """Numbers an image in the outputs of 3x3 convolutions, projections and residual blocks."""
    convolutions = spec.stage_widths[0] * dataset.side**2
    projections = additions = 0
    for stage, width in enumerate(spec.stage_widths):
        numbers = width * (dataset.side >> stage) ** 2
        blocks = spec.stage_blocks[stage]
        convolutions += 2 * blocks * numbers
        if spec.shortcut != "none":
            additions += blocks * numbers
        if spec.shortcut == "C":
            projections += blocks * numbers
        elif spec.shortcut == "B" and stage > 0:
            projections += numbers
    return convolutions, projections, additions


@dataclass(frozen=True)
class Ceilings:
    """This GPU's measured rates: bytes per second copied, FLOP per second in products."""

    bandwidth: float
    flops: dict[Precision, float]


def floor_seconds(
    work: Work, images: int, precision: Precision, ceilings: Ceilings, *, fused: bool = False
) -> float:
    """The least seconds for training on `images` images: the larger of arithmetic and memory."""
    arithmetic = work.flop(images) / ceilings.flops[precision]
    return max(arithmetic, work.bytes(images, precision, fused=fused) / ceilings.bandwidth)


def roofline(
    work: Work, images: int, precision: Precision, ceilings: Ceilings, measured: Mapping[str, float]
) -> pd.DataFrame:
    """A row for each name in `measured` (seconds of a step); "fused" in it: of the fused norm."""
    rows = {}
    for name, seconds in measured.items():
        fused = "fused" in name
        floor = floor_seconds(work, images, precision, ceilings, fused=fused)
        rows[name] = {
            "GB a step, counted": work.bytes(images, precision, fused=fused) / 1e9,
            "floor, ms": floor * 1e3,
            "measured, ms": seconds * 1e3,
            "of the limit": floor / seconds,
        }
    return pd.DataFrame.from_dict(rows, orient="index").rename_axis("norm")


def measure_ceilings(device: torch.device) -> Ceilings:
    """The faster of product and convolution for each precision, and the copy bandwidth."""
    set_determinism(False, device)
    flops = {}
    for precision in PRECISIONS:
        set_precision(precision, device)
        rates = product_flops(precision, device), convolution_flops(precision, device)
        flops[precision] = max(rates)
    return Ceilings(copy_bandwidth(device), flops)


def copy_bandwidth(device: torch.device) -> float:
    """Bytes per second, read and written."""
    source = torch.empty(COPIED_BYTES, dtype=torch.uint8, device=device)
    source.random_()  # zeros need less power and would be faster
    target = torch.empty_like(source)
    return 2 * COPIED_BYTES / seconds_of(lambda: target.copy_(source))


def product_flops(precision: Precision, device: torch.device) -> float:
    left, right = (_random(precision, device, SIDE, SIDE) for _ in range(2))
    result = torch.empty_like(left)
    return 2 * SIDE**3 / seconds_of(lambda: torch.mm(left, right, out=result))


def convolution_flops(precision: Precision, device: torch.device) -> float:
    """FLOP per second of a 3x3 convolution, forward, channels_last."""
    images, channels, side = CONVOLUTION
    maps = _random(precision, device, images, channels, side, side)
    maps = maps.to(memory_format=torch.channels_last)
    weight = _random(precision, device, channels, channels, 3, 3)
    weight = weight.to(memory_format=torch.channels_last)
    flop = 2 * 9 * channels**2 * side**2 * images
    with torch.no_grad():
        return flop / seconds_of(lambda: F.conv2d(maps, weight, padding=1))


def _random(precision: Precision, device: torch.device, *shape: int) -> torch.Tensor:
    dtype = torch.bfloat16 if precision == "bf16" else torch.float32
    return torch.randn(shape, device=device, dtype=dtype)
