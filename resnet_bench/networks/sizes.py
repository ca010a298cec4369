"""Parameters and multiply-adds of a network, counted from its specification alone.

Counting rules, as in section 4.2: convolutions without bias where batch norm follows, batch
norm's scale and shift counted, the linear layer with bias; multiply-adds of convolutions and of
the linear layer.
"""

from dataclasses import dataclass

from resnet_bench.datasets.definitions import InputShape
from resnet_bench.suites.network import NetworkSpec


@dataclass(frozen=True)
class Size:
    """What a network costs: trainable numbers, and multiply-adds of one image's forward pass."""

    parameters: int
    multiply_adds: int

    def __add__(self, other: "Size") -> "Size":
        return Size(self.parameters + other.parameters, self.multiply_adds + other.multiply_adds)


def network_size(spec: NetworkSpec, images: InputShape) -> Size:
    """The size of `network` on `images`. Pre-activation has no norm on projections."""
    side, channels = images.side, spec.stage_widths[0]
    kernel = 3
    if spec.architecture == "imagenet":
        kernel, side = 7, halved(side)
    size = _layer(spec, kernel, images.channels, channels, side)
    if spec.architecture == "imagenet":
        side = halved(side)  # the max-pool
    stages = zip(spec.stage_blocks, spec.stage_widths, strict=True)
    for stage, (blocks, width) in enumerate(stages):
        for block in range(blocks):
            halves = stage > 0 and block == 0
            size += _block(spec, channels, width, side, halves)
            side = halved(side) if halves else side
            channels = width * spec.expansion
    classifier = Size(channels * images.classes + images.classes, channels * images.classes)
    return size + classifier


def halved(side: int) -> int:
    """The side of a map after a stride of 2, with padding on both sides."""
    return (side + 1) // 2


def _block(spec: NetworkSpec, inputs: int, width: int, side: int, halves: bool) -> Size:
    """Both branches of a block that sees `inputs` channels of `side` x `side`."""
    after = halved(side) if halves else side
    outputs = width * spec.expansion
    if spec.block == "bottleneck":
        size = _layer(spec, 1, inputs, width, side) + _layer(spec, 3, width, width, after)
        size += _layer(spec, 1, width, outputs, after)
    else:
        size = _layer(spec, 3, inputs, width, after) + _layer(spec, 3, width, width, after)
    if spec.projects(halves or inputs != outputs):
        kernel = 3 if spec.shortcut == "3x3" else 1
        size += _layer(spec, kernel, inputs, outputs, after, spec.norms_projections)
    return size


def _layer(
    spec: NetworkSpec, kernel: int, inputs: int, outputs: int, side: int, norm: bool = True
) -> Size:
    """A convolution to a `side` x `side` map, with its bias and batch norm where it has them."""
    weights = kernel * kernel * inputs * outputs
    parameters = weights + (outputs if spec.has_bias else 0)
    if norm and spec.normalization == "batch":
        parameters += 2 * outputs
    return Size(parameters, weights * side * side)
