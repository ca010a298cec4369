"""The kernels of the fused norm as operations of PyTorch, so that its tools see them.

Maps are (N, C, H, W) in channels_last order; vectors are float32, one number for each channel.
"""

from typing import NamedTuple

import torch
import triton
from torch import Tensor
from torch.library import custom_op

from resnet_bench.gpu import norm_kernels as kernels

TILE = 4096  # numbers that a program has at a time: 8 loads of 16 bytes for each of 128 threads
WIDTH = 64  # most channels of a tile
BLOCKS = 512  # most blocks of rows: an H100's 132 processors hold as many programs at a time
FINISH = 8  # channels of a program that adds up the blocks


class Grid(NamedTuple):
    """How the rows and channels of maps are shared out to programs."""

    rows: int
    channels: int
    tile: int  # rows of a tile
    width: int  # channels of a tile
    tiles: int  # of a block of rows, one below the other
    blocks: int

    @classmethod
    def of(cls, x: Tensor) -> "Grid":
        channels = x.shape[1]
        rows = x.numel() // channels
        width = min(triton.next_power_of_2(channels), WIDTH)
        tile = TILE // width
        tiles = triton.cdiv(triton.cdiv(rows, tile), BLOCKS)
        return cls(rows, channels, tile, width, tiles, triton.cdiv(rows, tiles * tile))

    @property
    def of_blocks(self) -> tuple[int, int]:
        return self.blocks, triton.cdiv(self.channels, self.width)

    @property
    def of_tiles(self) -> tuple[int, int]:
        return triton.cdiv(self.rows, self.tile), triton.cdiv(self.channels, self.width)

    @property
    def of_finish(self) -> tuple[int]:
        return (triton.cdiv(self.channels, FINISH),)


@custom_op("resnet_bench::norm_statistics", mutates_args=("running_mean", "running_variance"))
def norm_statistics(
    x: Tensor, running_mean: Tensor, running_variance: Tensor, momentum: float, epsilon: float
) -> tuple[Tensor, Tensor]:
    """Means and 1 / standard deviations of `x`; the running statistics move by `momentum`."""
    grid = Grid.of(x)
    rows, channels, tile, width, tiles, blocks = grid
    means, squares = (running_mean.new_empty(blocks, channels) for _ in range(2))
    mean, inverse = (torch.empty_like(running_mean) for _ in range(2))
    with torch.cuda.device_of(x):
        kernels.block_statistics[grid.of_blocks](
            x, means, squares, rows, channels, tiles=tiles, height=tile, width=width
        )
        kernels.finish_statistics[grid.of_finish](
            *(means, squares, mean, inverse, running_mean, running_variance),
            *(rows, blocks, channels, momentum, epsilon),
            each=tiles * tile,
            most=BLOCKS,
            width=FINISH,
        )
    return mean, inverse


@custom_op("resnet_bench::norm_maps", mutates_args=())
def norm_maps(
    x: Tensor,
    added: Tensor | None,
    mean: Tensor,
    inverse: Tensor,
    weight: Tensor,
    bias: Tensor,
    relu: bool,
) -> Tensor:
    """The normalised maps, plus `added` if there is any, in the type of `x`."""
    grid, y = Grid.of(x), torch.empty_like(x)
    with torch.cuda.device_of(x):
        kernels.write_maps[grid.of_tiles](
            *(x, added, mean, inverse, weight, bias, y, grid.rows, grid.channels),
            add=added is not None,
            relu=relu,
            height=grid.tile,
            width=grid.width,
        )
    return y


@custom_op("resnet_bench::norm_gradients", mutates_args=())
def norm_gradients(
    gradient: Tensor,
    x: Tensor,
    mean: Tensor,
    inverse: Tensor,
    weight: Tensor,
    bias: Tensor,
    y: Tensor | None,
    relu: bool,
) -> list[Tensor]:
    """Gradients at x, weight and bias, and, where `y` is given, at what was added."""
    grid, vectors = Grid.of(x), (mean, inverse, weight, bias)
    rows, channels, tile, width, tiles, blocks = grid
    of_biases, of_weights = (mean.new_empty(blocks, channels) for _ in range(2))
    of_x, of_weight, of_bias = torch.empty_like(x), torch.empty_like(mean), torch.empty_like(mean)
    of_added = None if y is None else torch.empty_like(x)
    with torch.cuda.device_of(x):
        kernels.block_gradients[grid.of_blocks](
            *(gradient, x, y, *vectors, of_added, of_biases, of_weights, rows, channels),
            add=y is not None,
            relu=relu,
            tiles=tiles,
            height=tile,
            width=width,
        )
        kernels.finish_gradients[grid.of_finish](
            of_biases, of_weights, of_bias, of_weight, blocks, channels, most=BLOCKS, width=FINISH
        )
        kernels.write_gradients[grid.of_tiles](
            *(gradient if of_added is None else of_added, x, *vectors),
            *(of_bias, of_weight, of_x, rows, channels),
            relu=relu and y is None,
            height=tile,
            width=width,
        )
    return [of_x, of_weight, of_bias] + ([] if of_added is None else [of_added])
