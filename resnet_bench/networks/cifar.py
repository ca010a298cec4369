"""The plain and residual networks of He et al. 2015 for small images, on one page.

Section 4.2: a 3x3 convolution to 16 channels; three stages of n blocks of two 3x3 convolutions
on maps of full, half and quarter side with 16, 32 and 64 channels; global average pooling; a
linear layer: 6n+2 weighted layers. Batch norm follows every convolution and precedes the
activation (section 3.4). On 3x32x32 images with 10 classes (tests pin the numbers):

    depth   n      parameters, plain = A       B            C
    20      3      269,722                     272,474      283,962
    32      5      464,154                     466,906      489,594
    44      7      658,586                     661,338      695,226
    56      9      853,018                     855,770      900,858
    110     18     1,727,962                   1,730,714    1,826,202
    1202    200    19,421,274                  19,424,026   20,538,714
"""

from collections.abc import Callable
from typing import cast

from torch import Tensor, nn
from torch.nn import functional as F

from resnet_bench.datasets.definitions import InputShape
from resnet_bench.errors import UserError
from resnet_bench.suites.network import NetworkSpec


class Block(nn.Module):
    """Two weighted layers F and the shortcut around them: y = F(x) + x, equations 1 and 2.

    A ReLU follows the addition (section 3.2).
    A plain network is made of the same blocks with shortcut "none". Maps x of shape
    (N, inputs, H, W) to (N, width, H / stride, W / stride).
    """

    def __init__(self, inputs: int, width: int, stride: int, spec: NetworkSpec) -> None:
        super().__init__()
        self.conv1 = convolution(inputs, width, 3, stride, spec)
        self.bn1 = batch_norm(width, spec)
        self.conv2 = convolution(width, width, 3, 1, spec)
        self.bn2 = batch_norm(width, spec)
        self.add_shortcut(inputs, width, stride, spec)

    def add_shortcut(self, inputs: int, channels: int, stride: int, spec: NetworkSpec) -> None:
        """The identity with zero padding, or a projection, or nothing."""
        self.stride = stride
        self.padding_channels = zero_padding(inputs, channels, spec.zero_channels)
        self.has_shortcut = spec.shortcut != "none"
        self.projection: nn.Module | None = None
        if spec.projects(changes_shape=stride != 1 or inputs != channels):
            kernel = 3 if spec.shortcut == "3x3" else 1
            project = convolution(inputs, channels, kernel, stride, spec)
            norms = [batch_norm(channels, spec)] if spec.norms_projections else []
            self.projection = nn.Sequential(project, *norms)

    @property
    def last_norm(self) -> nn.BatchNorm2d:
        """The batch norm before the addition."""
        return cast(nn.BatchNorm2d, self.bn2)

    def residual(self, x: Tensor) -> Tensor:
        """F(x) = W2 relu(W1 x), each W a convolution and its batch norm."""
        y = F.relu(self.bn1(self.conv1(x)))
        return cast(Tensor, self.bn2(self.conv2(y)))

    def shortcut(self, x: Tensor) -> Tensor:
        """x itself, or W_s x where a projection was asked for."""
        if self.projection is not None:
            return cast(Tensor, self.projection(x))
        return identity(x, self.stride, self.padding_channels)

    def forward(self, x: Tensor) -> Tensor:
        y = self.residual(x)
        if self.has_shortcut:
            y = y + self.shortcut(x)
        return F.relu(y)


# (inputs, width, stride, spec) to a block; a class, or a function of a cure.
MakeBlock = Callable[[int, int, int, NetworkSpec], nn.Module]


class CifarNet(nn.Module):
    """A network of 6n+2 layers; maps images (N, C, H, W) to logits (N, classes).

    `block` is what the stages are made of; variants.py has others. Raises UserError for images
    that the stages cannot halve twice.
    """

    def __init__(self, spec: NetworkSpec, images: InputShape, block: MakeBlock = Block) -> None:
        super().__init__()
        if images.side % 4:
            raise UserError(
                f"{spec.name}: images of {images.side} pixels a side cannot be halved twice"
            )
        channels = spec.stage_widths[0]
        self.conv = convolution(images.channels, channels, 3, 1, spec)
        self.bn = batch_norm(channels, spec)
        self.stages = make_stages(spec, block)
        channels = spec.stage_widths[-1] * spec.expansion
        self.pooling = spec.pooling
        self.linear = nn.Linear(channels, images.classes)

    def stem(self, images: Tensor) -> Tensor:
        """What the first stage sees."""
        return F.relu(self.bn(self.conv(images)))

    def forward(self, images: Tensor) -> Tensor:
        x = self.stages(self.stem(images))
        return cast(Tensor, self.linear(pool(x, self.pooling)))


def make_stages(spec: NetworkSpec, block: MakeBlock) -> nn.Sequential:
    """The stages, one after another, each a sequence of blocks."""
    inputs = spec.stage_widths[0]
    stages: list[nn.Sequential] = []
    for blocks, width in zip(spec.stage_blocks, spec.stage_widths, strict=True):
        stage = nn.Sequential()
        for _ in range(blocks):
            # "The subsampling is performed by convolutions with a stride of 2": a stage's first.
            stride = 2 if stages and not len(stage) else 1
            stage.append(block(inputs, width, stride, spec))
            inputs = width * spec.expansion
        stages.append(stage)
    return nn.Sequential(*stages)


def convolution(
    inputs: int, channels: int, kernel: int, stride: int, spec: NetworkSpec
) -> nn.Conv2d:
    """A convolution of (N, inputs, H, W) to (N, channels, H / stride, W / stride), zero-padded.

    Without bias, since batch norm's shift takes its place, unless `network` says otherwise.
    """
    return nn.Conv2d(inputs, channels, kernel, stride, padding=kernel // 2, bias=spec.has_bias)


def batch_norm(channels: int, spec: NetworkSpec) -> nn.Module:
    """Batch norm, or nothing in the variant without."""
    return nn.BatchNorm2d(channels) if spec.normalization == "batch" else nn.Identity()


def pool(x: Tensor, how: str) -> Tensor:
    """Global pooling: (N, C, H, W) to (N, C)."""
    # Where maxima tie, amax shares the gradient; after a ReLU they tie at zero, where it has none.
    return x.amax(dim=(2, 3)) if how == "max" else x.mean(dim=(2, 3))


def identity(x: Tensor, stride: int, padding_channels: tuple[int, int]) -> Tensor:
    """Option A, section 3.3: x, subsampled by `stride`, with zeros for the new channels."""
    if stride != 1:
        # Windows of one pixel: x[:, :, ::stride, ::stride], but in channels_last order both ways.
        x = F.avg_pool2d(x, 1, stride)
    if padding_channels != (0, 0):
        x = F.pad(x, (0, 0, 0, 0, *padding_channels))
    return x


def zero_padding(inputs: int, channels: int, where: str) -> tuple[int, int]:
    """How many zero channels option A puts before and after the `inputs` there are."""
    missing = channels - inputs
    before = missing // 2 if where == "both" else 0
    return before, missing - before
