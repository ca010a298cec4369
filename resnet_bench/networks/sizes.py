"""Parameters and multiply-adds of a network, counted from its specification alone.

Counting rules, as in section 4.2: convolutions without bias where batch norm follows, batch
norm's scale and shift counted, the linear layer with bias; multiply-adds of convolutions and of
the linear layer.
"""

from dataclasses import dataclass

from resnet_bench.datasets.definitions import InputShape
from resnet_bench.suites.network import Network


@dataclass(frozen=True)
class Size:
    """What a network costs: trainable numbers, and multiply-adds of one image's forward pass."""

    parameters: int
    multiply_adds: int

    def __add__(self, other: "Size") -> "Size":
        return Size(self.parameters + other.parameters, self.multiply_adds + other.multiply_adds)


def network_size(network: Network, images: InputShape) -> Size:
    """The size of `network` on `images`. Pre-activation moves norms about and adds none."""
    side, channels = images.side, network.stage_widths[0]
    kernel = 3
    if network.architecture == "imagenet":
        kernel, side = 7, halved(side)
    size = _layer(network, kernel, images.channels, channels, side)
    if network.architecture == "imagenet":
        side = halved(side)  # the max-pool
    stages = zip(network.stage_blocks, network.stage_widths, strict=True)
    for stage, (blocks, width) in enumerate(stages):
        for block in range(blocks):
            halves = stage > 0 and block == 0
            size += _block(network, channels, width, side, halves)
            side = halved(side) if halves else side
            channels = width * network.expansion
    classifier = Size(channels * images.classes + images.classes, channels * images.classes)
    return size + classifier


def halved(side: int) -> int:
    """The side of a map after a stride of 2, with padding on both sides."""
    return (side + 1) // 2


def _block(network: Network, inputs: int, width: int, side: int, halves: bool) -> Size:
    """Both branches of a block that sees `inputs` channels of `side` x `side`."""
    after = halved(side) if halves else side
    outputs = width * network.expansion
    if network.block == "bottleneck":
        size = _layer(network, 1, inputs, width, side) + _layer(network, 3, width, width, after)
        size += _layer(network, 1, width, outputs, after)
    else:
        size = _layer(network, 3, inputs, width, after) + _layer(network, 3, width, width, after)
    if network.projects(halves or inputs != outputs):
        kernel = 3 if network.shortcut == "3x3" else 1
        size += _layer(network, kernel, inputs, outputs, after, network.projection_norm)
    return size


def _layer(
    network: Network, kernel: int, inputs: int, outputs: int, side: int, norm: bool = True
) -> Size:
    """A convolution to a `side` x `side` map, with its bias and batch norm where it has them."""
    weights = kernel * kernel * inputs * outputs
    parameters = weights + (outputs if network.has_bias else 0)
    if norm and network.normalization == "batch":
        parameters += 2 * outputs
    return Size(parameters, weights * side * side)
