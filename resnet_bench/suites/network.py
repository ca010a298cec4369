"""The specification of a network, as typed, frozen data."""

from typing import Annotated, Any, Literal, Self

from pydantic import Field, model_validator

from resnet_bench.suites.validation import Specification

Shortcut = Literal["none", "A", "B", "C", "3x3"]

STAGE_WIDTHS = {"cifar": (16, 32, 64), "imagenet": (64, 128, 256, 512)}  # table 1, section 4.2
IMAGENET_BLOCKS = {  # depth: blocks of each stage (table 1); from 50 layers on bottlenecks
    18: (2, 2, 2, 2),
    34: (3, 4, 6, 3),
    50: (3, 4, 6, 3),
    101: (3, 4, 23, 3),
    152: (3, 8, 36, 3),
}


class NetworkSpec(Specification):
    """A network: 6n+2 layers in three stages (section 4.2), or one of table 1 in four stages.

    The paper's networks have the defaults of the fields from `block` on.
    """

    architecture: Literal["cifar", "imagenet"] = "cifar"
    depth: Annotated[int, Field(ge=8, le=10_000)]
    shortcut: Shortcut  # none = plain; A = identity, zero padding; B, C = 1x1 projections;
    # 3x3 = like B, with a 3x3 convolution
    zero_channels: Literal["end", "both"] = "end"  # option A: where the new channels go

    block: Literal["basic", "bottleneck"] = "basic"  # figure 5: 3x3, 3x3; or 1x1, 3x3, 1x1
    activation: Literal["post", "pre"] = "post"  # pre: He et al. 2016b, figure 1b
    normalization: Literal["batch", "none"] = "batch"  # none: convolutions with bias instead
    conv_bias: bool = False  # a bias in convolutions followed by batch norm
    projection_norm: bool = True  # batch norm after the shortcuts' projections
    pooling: Literal["average", "max"] = "average"  # global, before the linear layer

    @model_validator(mode="before")
    @classmethod
    def choose_block(cls, values: Any) -> Any:
        """Set the block of an ImageNet network, which table 1 determines."""
        if isinstance(values, dict) and values.get("architecture") == "imagenet":
            deep = isinstance(values.get("depth"), int) and values["depth"] >= 50
            return {"block": "bottleneck" if deep else "basic"} | values
        return values

    @model_validator(mode="after")
    def check_depth(self) -> Self:
        if self.architecture == "imagenet":
            if self.depth not in IMAGENET_BLOCKS:
                raise ValueError(f"depth {self.depth} is none of {list(IMAGENET_BLOCKS)}")
            if (self.depth >= 50) != (self.block == "bottleneck"):
                raise ValueError(f"block {self.block!r} is not that of {self.depth} layers")
        elif rest := (self.depth - 2) % self.layers_per_n:
            below = self.depth - rest
            near = [str(depth) for depth in (below, below + self.layers_per_n) if depth > 2]
            verb = "nearest are" if len(near) > 1 else "nearest is"
            raise ValueError(
                f"depth {self.depth} is not {self.layers_per_n}n+2; the {verb} {' and '.join(near)}"
            )
        return self

    @property
    def family(self) -> Literal["plain", "resnet"]:
        return "plain" if self.shortcut == "none" else "resnet"

    @property
    def layers_per_n(self) -> int:
        """Weighted layers in one block of each of the three stages: 6, with bottlenecks 9."""
        return 9 if self.block == "bottleneck" else 6

    @property
    def stage_blocks(self) -> tuple[int, ...]:
        """Blocks of each stage: the paper's n in the three stages of section 4.2."""
        if self.architecture == "imagenet":
            return IMAGENET_BLOCKS[self.depth]
        return ((self.depth - 2) // self.layers_per_n,) * 3

    @property
    def stage_widths(self) -> tuple[int, ...]:
        """Channels of each stage's 3x3 convolutions."""
        return STAGE_WIDTHS[self.architecture]

    @property
    def expansion(self) -> int:
        """A block's output channels divided by its width."""
        return 4 if self.block == "bottleneck" else 1

    @property
    def has_bias(self) -> bool:
        """Whether convolutions have a bias."""
        return self.conv_bias or self.normalization == "none"

    def projects(self, changes_shape: bool) -> bool:
        """Whether a block's shortcut is a projection."""
        where_needed = self.shortcut in ("B", "3x3") and changes_shape
        return self.shortcut == "C" or where_needed

    @property
    def norms_projections(self) -> bool:
        """Whether a projection has a norm; with pre-activation one precedes it."""
        return self.projection_norm and self.activation == "post"

    @property
    def can_begin_as_identity(self) -> bool:
        """Whether a block is its shortcut when the scale of its last norm is zero."""
        has_last_norm = self.normalization == "batch" and self.activation == "post"
        return self.family == "resnet" and has_last_norm

    @property
    def name(self) -> str:
        return (
            f"plain-{self.depth}"
            if self.family == "plain"
            else f"resnet-{self.depth}-{self.shortcut}"
        )
