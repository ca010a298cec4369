"""What a GPU cannot beat: operations and bytes of training networks side by side, counted.

A pass is one read or one write of a convolution's output. All memory floors count passes over
feature maps alone; weights, which fit the cache, count for nothing.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from resnet_bench.datasets import Dataset
from resnet_bench.experiments import Experiment
from resnet_bench.sizes import network_size
from resnet_bench.specification import Network, Precision

# Passes over the output of a convolution with batch norm and ReLU. One operation at a time,
# forward: convolution 2, batch norm 3, ReLU 2; backward: ReLU 3, batch norm 5, convolution 4.
EAGER_PASSES = 19
RELU_PASSES = 5  # of these, which a projection lacks
# Batch norm, ReLU and addition in one kernel, forward: 2 + 3; backward: 5 + 4.
FUSED_PASSES = 14
# More over the output of a residual block. Eager: addition 3, sum of the two gradients 3; fused:
# the shortcut read once forward, the sum of gradients 3.
EAGER_ADDITION_PASSES = 6
FUSED_ADDITION_PASSES = 4

FORMULA = f"""\
multiply-adds an image: 3 x the forward pass (forward, gradients of maps and of weights), less the
  gradient of the images, which nobody needs; 2 FLOP each
bytes an image: {EAGER_PASSES} passes over each convolution's output ({FUSED_PASSES} with batch \
norm, ReLU and addition fused),
  {EAGER_ADDITION_PASSES} more ({FUSED_ADDITION_PASSES} fused) over each residual block's; 4 bytes \
a number, 2 in bf16
floor: the larger of FLOP / measured FLOP/s and bytes / measured copy bandwidth, both directions"""


@dataclass(frozen=True)
class Work:
    """What one image costs in training, for one network or for several together."""

    multiply_adds: float
    eager_passes: float  # numbers read or written, one operation at a time
    fused_passes: float

    def __add__(self, other: "Work") -> "Work":
        return Work(
            self.multiply_adds + other.multiply_adds,
            self.eager_passes + other.eager_passes,
            self.fused_passes + other.fused_passes,
        )

    def flop(self, images: int) -> float:
        return 2 * self.multiply_adds * images

    def bytes(self, images: int, precision: Precision, *, fused: bool = False) -> float:
        numbers = self.fused_passes if fused else self.eager_passes
        return numbers * (2 if precision == "bf16" else 4) * images


def work_of(experiments: Sequence[Experiment]) -> Work:
    """The work of all networks together, for one image each."""
    total = Work(0, 0, 0)
    for experiment in experiments:
        total += network_work(experiment.network, experiment.dataset)
    return total


def network_work(network: Network, dataset: Dataset) -> Work:
    size = network_size(network, dataset)
    first = 9 * dataset.channels * network.stage_widths[0] * dataset.side**2
    with_relu, projections, additions = _map_numbers(network, dataset)
    return Work(
        multiply_adds=3 * size.multiply_adds - first,
        eager_passes=EAGER_PASSES * with_relu
        + (EAGER_PASSES - RELU_PASSES) * projections
        + EAGER_ADDITION_PASSES * additions,
        fused_passes=FUSED_PASSES * (with_relu + projections) + FUSED_ADDITION_PASSES * additions,
    )


def _map_numbers(network: Network, dataset: Dataset) -> tuple[int, int, int]:
    """Numbers an image in the outputs of 3x3 convolutions, projections and residual blocks."""
    convolutions = network.stage_widths[0] * dataset.side**2
    projections = additions = 0
    for stage, width in enumerate(network.stage_widths):
        numbers = width * (dataset.side >> stage) ** 2
        blocks = network.stage_blocks[stage]
        convolutions += 2 * blocks * numbers
        if network.shortcut != "none":
            additions += blocks * numbers
        if network.shortcut == "C":
            projections += blocks * numbers
        elif network.shortcut == "B" and stage > 0:
            projections += numbers
    return convolutions, projections, additions


@dataclass(frozen=True)
class Ceilings:
    """What this GPU reaches, measured: bytes a second copied, FLOP a second in products."""

    bandwidth: float
    flops: dict[Precision, float]


def floor_seconds(
    work: Work, images: int, precision: Precision, ceilings: Ceilings, *, fused: bool = False
) -> float:
    """The least seconds for training on `images` images: the larger of arithmetic and memory."""
    arithmetic = work.flop(images) / ceilings.flops[precision]
    return max(arithmetic, work.bytes(images, precision, fused=fused) / ceilings.bandwidth)
