"""From a specification to a network: which page of the house builds it."""

from torch import nn

from resnet_bench.datasets.definitions import InputShape
from resnet_bench.errors import UserError
from resnet_bench.networks.cifar import Block, CifarNet, MakeBlock
from resnet_bench.networks.imagenet import ImagenetNet
from resnet_bench.networks.variants import (
    Bottleneck,
    PreactivationImagenetNet,
    PreactivationNet,
)
from resnet_bench.suites.network import NetworkSpec


def build_network(
    spec: NetworkSpec, images: InputShape, block: MakeBlock | None = None
) -> nn.Module:
    """The untrained module; maps images (N, C, H, W) to logits (N, classes).

    `block` is a cure's; without one `spec` decides. Raises UserError for images that the network
    cannot take, and for a cure's block in a variant that has a block already.
    """
    if block is not None and (spec.block, spec.activation) != ("basic", "post"):
        raise UserError(f"{spec.name}: a cure's Block replaces basic post-activation blocks only")
    if block is None:
        block = Bottleneck if spec.block == "bottleneck" else Block
    on_imagenet = spec.architecture == "imagenet"
    if spec.activation == "pre":
        return (PreactivationImagenetNet if on_imagenet else PreactivationNet)(spec, images)
    return (ImagenetNet if on_imagenet else CifarNet)(spec, images, block)
