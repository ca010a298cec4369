"""Parameters and multiply-adds of a network, counted from its specification alone.

Counting rules, as in section 4.2: convolutions without bias, batch norm's scale and shift
counted, the linear layer with bias; multiply-adds of convolutions and of the linear layer.
"""

from dataclasses import dataclass

from resnet_bench.datasets import Dataset
from resnet_bench.specification import Network

STAGE_WIDTHS = (16, 32, 64)  # channels of the three stages, section 4.2


@dataclass(frozen=True)
class Size:
    """What a network costs: trainable numbers, and multiply-adds of one image's forward pass."""

    parameters: int
    multiply_adds: int

    def __add__(self, other: "Size") -> "Size":
        return Size(self.parameters + other.parameters, self.multiply_adds + other.multiply_adds)


def network_size(network: Network, dataset: Dataset) -> Size:
    """The size of `network` on images of `dataset`."""
    side = dataset.side
    size = _conv_and_norm(3, dataset.channels, STAGE_WIDTHS[0], side)
    channels = STAGE_WIDTHS[0]
    for stage, width in enumerate(STAGE_WIDTHS):
        for block in range(network.blocks_per_stage):
            halves = stage > 0 and block == 0
            side = side // 2 if halves else side
            size += _conv_and_norm(3, channels, width, side)
            size += _conv_and_norm(3, width, width, side)
            if network.shortcut == "C" or (network.shortcut == "B" and halves):
                size += _conv_and_norm(1, channels, width, side)
            channels = width
    classifier = Size(channels * dataset.classes + dataset.classes, channels * dataset.classes)
    return size + classifier


def _conv_and_norm(kernel: int, inputs: int, outputs: int, side: int) -> Size:
    """A convolution to a `side` x `side` map, and its batch norm."""
    weights = kernel * kernel * inputs * outputs
    return Size(weights + 2 * outputs, weights * side * side)
