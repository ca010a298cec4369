"""From a specification to a network: which page of the house builds it."""

from torch import nn

from resnet_bench.datasets.definitions import InputShape
from resnet_bench.networks.cifar import Block, CifarNet
from resnet_bench.networks.imagenet import ImagenetNet
from resnet_bench.networks.variants import Bottleneck, PreactivationNet
from resnet_bench.suites.network import Network


def build_network(network: Network, images: InputShape) -> nn.Module:
    """The untrained module; maps images (N, C, H, W) to logits (N, classes).

    Raises UserError for images that the network cannot take.
    """
    block = Bottleneck if network.block == "bottleneck" else Block
    if network.architecture == "imagenet":
        return ImagenetNet(network, images, block)
    if network.activation == "pre":
        return PreactivationNet(network, images)
    return CifarNet(network, images, block)
