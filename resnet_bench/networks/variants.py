"""Blocks that the paper's comparison on small images does not use: bottlenecks, pre-activation.

And the networks that pre-activation blocks need: they end in a norm.
"""

from typing import cast

from torch import Tensor, nn
from torch.nn import functional as F

from resnet_bench.datasets.definitions import InputShape
from resnet_bench.networks.cifar import Block, CifarNet, batch_norm, convolution, pool
from resnet_bench.networks.imagenet import ImagenetNet
from resnet_bench.suites.network import NetworkSpec


class Bottleneck(Block):
    """1x1, 3x3 and 1x1 convolutions, the last to four times the width: figure 5, right.

    The stride is the 3x3 convolution's, as in torchvision, and not the first one's. Maps x of
    shape (N, inputs, H, W) to (N, 4 width, H / stride, W / stride).
    """

    def __init__(self, inputs: int, width: int, stride: int, spec: NetworkSpec) -> None:
        nn.Module.__init__(self)
        channels = width * spec.expansion
        self.conv1 = convolution(inputs, width, 1, 1, spec)
        self.bn1 = batch_norm(width, spec)
        self.conv2 = convolution(width, width, 3, stride, spec)
        self.bn2 = batch_norm(width, spec)
        self.conv3 = convolution(width, channels, 1, 1, spec)
        self.bn3 = batch_norm(channels, spec)
        self.add_shortcut(inputs, channels, stride, spec)

    @property
    def last_norm(self) -> nn.BatchNorm2d:
        return cast(nn.BatchNorm2d, self.bn3)

    def residual(self, x: Tensor) -> Tensor:
        y = F.relu(self.bn1(self.conv1(x)))
        y = F.relu(self.bn2(self.conv2(y)))
        return cast(Tensor, self.bn3(self.conv3(y)))


class PreactivationBlock(Block):
    """Norm and ReLU before each convolution, nothing after the addition.

    He, Zhang, Ren and Sun 2016, "Identity Mappings in Deep Residual Networks" (arXiv 1603.05027),
    figure 1b: y = x + F(x) throughout, so that x reaches every depth of a stage unchanged. Where a
    projection changes the shape, it sees the first norm and ReLU, too, and has no norm of its own
    (the authors' code). Convolutions and shapes are those of `Block`, or of `Bottleneck`.
    """

    def __init__(self, inputs: int, width: int, stride: int, spec: NetworkSpec) -> None:
        nn.Module.__init__(self)
        channels = width * spec.expansion
        layers = [(inputs, width, 3, stride), (width, width, 3, 1)]
        if spec.block == "bottleneck":
            layers = [(inputs, width, 1, 1), (width, width, 3, stride), (width, channels, 1, 1)]
        for number, (taken, made, kernel, step) in enumerate(layers, 1):
            self.add_module(f"bn{number}", batch_norm(taken, spec))
            self.add_module(f"conv{number}", convolution(taken, made, kernel, step, spec))
        self.depth = len(layers)
        self.add_shortcut(inputs, channels, stride, spec)

    def residual(self, x: Tensor) -> Tensor:
        return self.after_first_relu(F.relu(self.bn1(x)))

    def after_first_relu(self, activated: Tensor) -> Tensor:
        y = self.conv1(activated)
        for number in range(2, self.depth + 1):
            norm, conv = (self.get_submodule(f"{part}{number}") for part in ("bn", "conv"))
            y = conv(F.relu(norm(y)))
        return cast(Tensor, y)

    def forward(self, x: Tensor) -> Tensor:
        activated = F.relu(self.bn1(x))
        y = self.after_first_relu(activated)
        if not self.has_shortcut:
            return y
        return y + self.shortcut(x if self.projection is None else activated)


class PreactivationNet(CifarNet):
    """A `CifarNet` of pre-activation blocks, with norm and ReLU after the last one.

    The same paper's appendix: the first activation comes right after the first convolution, before
    the two paths split; an extra one follows the last addition. So the network has exactly the
    parameters of its post-activation twin, without the norms of projections.
    """

    def __init__(self, spec: NetworkSpec, images: InputShape) -> None:
        super().__init__(spec, images, PreactivationBlock)
        # The stem's norm and ReLU serve both paths of the first block; ReLU twice is ReLU.
        first = cast(PreactivationBlock, cast(nn.Sequential, self.stages[0])[0])
        first.bn1 = nn.Identity()
        self.final_bn = batch_norm(self.linear.in_features, spec)

    def forward(self, images: Tensor) -> Tensor:
        x = F.relu(self.final_bn(self.stages(self.stem(images))))
        return cast(Tensor, self.linear(pool(x, self.pooling)))


class PreactivationImagenetNet(PreactivationNet, ImagenetNet):
    """The same with table 1's stem and stages."""
