"""From a specification to a network: which page of the house builds it."""

from torch import nn

from resnet_bench.datasets.definitions import InputShape
from resnet_bench.networks.cifar import Block, CifarNet
from resnet_bench.networks.imagenet import ImagenetNet
from resnet_bench.networks.variants import Bottleneck, PreactivationNet
from resnet_bench.suites.network import NetworkSpec


def build_network(spec: NetworkSpec, images: InputShape) -> nn.Module:
    """The untrained module; maps images (N, C, H, W) to logits (N, classes).

    Raises UserError for images that the network cannot take.
    """
    block = Bottleneck if spec.block == "bottleneck" else Block
    if spec.architecture == "imagenet":
        return ImagenetNet(spec, images, block)
    if spec.activation == "pre":
        return PreactivationNet(spec, images)
    return CifarNet(spec, images, block)
