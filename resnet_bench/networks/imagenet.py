"""The networks of table 1, first built for 224x224 images: 18, 34, 50, 101 and 152 layers.

A 7x7 convolution with stride 2 to 64 channels; a 3x3 max-pool with stride 2; four stages of
blocks with 64, 128, 256 and 512 channels; global pooling; a linear layer. Blocks are those of
cifar.py up to 34 layers and bottlenecks from 50 on, with 256 to 2048 channels. On 3x224x224
images with 1000 classes, option B (tests pin the numbers, which are torchvision's too):

    depth   blocks           parameters      plain, A
    18      2, 2, 2, 2       11,689,512      11,515,688
    34      3, 4, 6, 3       21,797,672      21,623,848
    50      3, 4, 6, 3       25,557,032      22,780,456
    101     3, 4, 23, 3      44,549,160      41,772,584
    152     3, 8, 36, 3      60,192,808      57,416,232
"""

from typing import cast

from torch import Tensor, nn

from resnet_bench.datasets.definitions import InputShape
from resnet_bench.networks.cifar import CifarNet, MakeBlock, batch_norm, convolution, make_stages
from resnet_bench.suites.network import NetworkSpec


class ImagenetNet(CifarNet):
    """A network of table 1; maps images (N, C, H, W) of any side to logits (N, classes)."""

    def __init__(self, spec: NetworkSpec, images: InputShape, block: MakeBlock) -> None:
        nn.Module.__init__(self)
        channels = spec.stage_widths[0]
        self.conv = convolution(images.channels, channels, 7, 2, spec)
        self.bn = batch_norm(channels, spec)
        self.maxpool = nn.MaxPool2d(3, stride=2, padding=1)
        self.stages = make_stages(spec, block)
        channels = spec.stage_widths[-1] * spec.expansion
        self.pooling = spec.pooling
        self.linear = nn.Linear(channels, images.classes)

    def stem(self, images: Tensor) -> Tensor:
        return cast(Tensor, self.maxpool(super().stem(images)))
