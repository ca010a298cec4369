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

from torch import Tensor, nn
from torch.nn import functional as F

from resnet_bench.datasets import Dataset
from resnet_bench.errors import UserError
from resnet_bench.sizes import STAGE_WIDTHS
from resnet_bench.specification import Network


class Block(nn.Module):
    """Two weighted layers F and the shortcut around them: y = F(x) + x, equations 1 and 2.

    A plain network is made of the same blocks with shortcut "none". Maps x of shape
    (N, inputs, H, W) to (N, channels, H / stride, W / stride).
    """

    def __init__(
        self, inputs: int, channels: int, stride: int, shortcut: str, zero_channels: str = "end"
    ) -> None:
        super().__init__()
        self.conv1 = convolution(inputs, channels, 3, stride)
        self.bn1 = nn.BatchNorm2d(channels)
        self.conv2 = convolution(channels, channels, 3)
        self.bn2 = nn.BatchNorm2d(channels)
        self.stride = stride
        self.padding_channels = zero_padding(inputs, channels, zero_channels)
        changes_shape = stride != 1 or inputs != channels
        self.has_shortcut = shortcut != "none"
        self.projection: nn.Module | None = None
        if shortcut == "C" or (shortcut == "B" and changes_shape):
            self.projection = nn.Sequential(
                convolution(inputs, channels, 1, stride), nn.BatchNorm2d(channels)
            )

    def residual(self, x: Tensor) -> Tensor:
        """F(x) = W2 relu(W1 x), each W a convolution and its batch norm."""
        y = F.relu(self.bn1(self.conv1(x)))
        return self.bn2(self.conv2(y))

    def shortcut(self, x: Tensor) -> Tensor:
        """x itself, or W_s x where a projection was asked for."""
        if self.projection is not None:
            return self.projection(x)
        return identity(x, self.stride, self.padding_channels)

    def forward(self, x: Tensor) -> Tensor:
        y = self.residual(x)
        if self.has_shortcut:
            y = y + self.shortcut(x)
        return F.relu(y)


class CifarNet(nn.Module):
    """A network of 6n+2 layers; maps images (N, C, H, W) to logits (N, classes).

    Raises UserError for images that the stages cannot halve twice.
    """

    def __init__(self, network: Network, dataset: Dataset) -> None:
        super().__init__()
        if dataset.side % 4:
            raise UserError(
                f"{network.name}: images of {dataset.side} pixels a side cannot be halved twice"
            )
        self.conv = convolution(dataset.channels, STAGE_WIDTHS[0], 3)
        self.bn = nn.BatchNorm2d(STAGE_WIDTHS[0])
        inputs = STAGE_WIDTHS[0]
        stages = []
        for index, channels in enumerate(STAGE_WIDTHS):
            blocks = []
            for number in range(network.blocks_per_stage):
                # "Down-sampling is performed by convolutions with stride 2": the first of a stage.
                stride = 2 if index > 0 and number == 0 else 1
                blocks.append(
                    Block(inputs, channels, stride, network.shortcut, network.zero_channels)
                )
                inputs = channels
            stages.append(nn.Sequential(*blocks))
        self.stages = nn.Sequential(*stages)
        self.linear = nn.Linear(inputs, dataset.classes)

    def forward(self, images: Tensor) -> Tensor:
        x = F.relu(self.bn(self.conv(images)))
        x = self.stages(x)
        return self.linear(x.mean(dim=(2, 3)))


def convolution(inputs: int, channels: int, kernel: int, stride: int = 1) -> nn.Conv2d:
    """A convolution without bias (batch norm's shift takes its place) that keeps the side."""
    return nn.Conv2d(inputs, channels, kernel, stride, padding=kernel // 2, bias=False)


def identity(x: Tensor, stride: int, padding_channels: tuple[int, int]) -> Tensor:
    """Option A, section 3.3: x, subsampled by `stride`, with zeros for the new channels."""
    if stride != 1:
        x = x[:, :, ::stride, ::stride]
    if padding_channels != (0, 0):
        x = F.pad(x, (0, 0, 0, 0, *padding_channels))
    return x


def zero_padding(inputs: int, channels: int, where: str) -> tuple[int, int]:
    """How many zero channels option A puts before and after the `inputs` there are."""
    missing = channels - inputs
    before = missing // 2 if where == "both" else 0
    return before, missing - before
