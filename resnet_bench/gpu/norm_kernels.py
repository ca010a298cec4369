"""Triton kernels of batch norm with the ReLU, or addition and ReLU, that follow it.

Maps (N, C, H, W) in channels_last order are matrices: a row for each pixel of each image, a column
for each channel. Sums over rows have two stages: each program sums a block of rows, then one adds
up the blocks in their order. So they have the same bits every time, which atomics have not. Sums
and statistics are float32, whatever the maps are.
"""

import triton
from triton import language as tl
from triton.language import constexpr


@triton.jit
def tile_of(start, rows, channels, height: constexpr, width: constexpr):
    """Where rows from `start` and this program's channels lie, and which of them there are."""
    row = start + tl.arange(0, height)[:, None]
    channel = tl.program_id(1) * width + tl.arange(0, width)[None, :]
    return row * channels + channel, (row < rows) & (channel < channels)


@triton.jit
def load_channels(vector, channels, width: constexpr):
    channel = tl.program_id(1) * width + tl.arange(0, width)[None, :]
    return tl.load(vector + channel, channel < channels, 0.0)


@triton.jit
def load_normalised(x, place, there, mean, inverse, channels, width: constexpr):
    """(x - mean) / standard deviation, the same numbers forward and backward."""
    value = tl.load(x + place, there, 0.0).to(tl.float32) - load_channels(mean, channels, width)
    return value * load_channels(inverse, channels, width)


@triton.jit
def scaled(value, weight, bias, channels, width: constexpr):
    return value * load_channels(weight, channels, width) + load_channels(bias, channels, width)


@triton.jit
def store_block(sums, values, channels, width: constexpr):
    """Write this program's `values`, one for each channel, as its row of `sums`."""
    channel = tl.program_id(1) * width + tl.arange(0, width)
    tl.store(sums + tl.program_id(0) * channels + channel, values, channel < channels)


@triton.jit
def block_statistics(
    x, means, squares, rows, channels,
    tiles: constexpr, height: constexpr, width: constexpr,
):  # fmt: skip
    """A block's means, and its sums of squared deviations from them (Chan et al. 1979)."""
    mean = tl.zeros([width], tl.float32)
    square = tl.zeros([width], tl.float32)
    for tile in range(tiles):
        start = (tl.program_id(0) * tiles + tile) * height
        place, there = tile_of(start, rows, channels, height, width)
        value = tl.load(x + place, there, 0.0).to(tl.float32)
        count = tl.minimum(tl.maximum(rows - start, 0), height).to(tl.float32)
        tile_mean = tl.sum(value, 0) / tl.maximum(count, 1.0)
        deviation = tl.where(there, value - tile_mean[None, :], 0.0)
        change = tile_mean - mean
        share = count / (tile * height + count)
        mean += change * share
        square += tl.sum(deviation * deviation, 0) + change * change * (tile * height) * share
    store_block(means, mean, channels, width)
    store_block(squares, square, channels, width)


@triton.jit
def load_blocks(sums, blocks, channels, most: constexpr, width: constexpr):
    """The rows of all blocks, for this program's channels."""
    block = tl.arange(0, most)[:, None]
    channel = tl.program_id(0) * width + tl.arange(0, width)[None, :]
    there = (block < blocks) & (channel < channels)
    return tl.load(sums + block * channels + channel, there, 0.0)


@triton.jit
def finish_statistics(
    means, squares, mean_of, inverse_of, running_mean, running_variance,
    rows, blocks, channels, momentum, epsilon,
    each: constexpr, most: constexpr, width: constexpr,
):  # fmt: skip
    """Mean and 1 / standard deviation over all rows; the running statistics move."""
    block_mean = load_blocks(means, blocks, channels, most, width)
    count = rows - tl.arange(0, most)[:, None] * each
    count = tl.minimum(tl.maximum(count, 0), each).to(tl.float32)
    mean = tl.sum(block_mean * count, 0) / rows
    between = block_mean - mean[None, :]
    within = load_blocks(squares, blocks, channels, most, width)
    square = tl.sum(within + between * between * count, 0)
    channel = tl.program_id(0) * width + tl.arange(0, width)
    there = channel < channels
    tl.store(mean_of + channel, mean, there)
    tl.store(inverse_of + channel, 1.0 / tl.sqrt(square / rows + epsilon), there)
    old = tl.load(running_mean + channel, there)
    tl.store(running_mean + channel, (1.0 - momentum) * old + momentum * mean, there)
    old = tl.load(running_variance + channel, there)
    new = (1.0 - momentum) * old + momentum * (square / (rows - 1))
    tl.store(running_variance + channel, new, there)


@triton.jit
def write_maps(
    x, added, mean, inverse, weight, bias, y, rows, channels,
    add: constexpr, relu: constexpr, height: constexpr, width: constexpr,
):  # fmt: skip
    """y = relu(norm(x) + added), or without the addition, or without the ReLU."""
    place, there = tile_of(tl.program_id(0) * height, rows, channels, height, width)
    value = load_normalised(x, place, there, mean, inverse, channels, width)
    value = scaled(value, weight, bias, channels, width)
    if add:
        value += tl.load(added + place, there, 0.0).to(tl.float32)
    if relu:
        value = tl.maximum(value, 0.0, propagate_nan=tl.PropagateNan.ALL)
    tl.store(y + place, value.to(y.dtype.element_ty), there)


@triton.jit
def block_gradients(
    gradient, x, y, mean, inverse, weight, bias, of_added, of_biases, of_weights,
    rows, channels,
    add: constexpr, relu: constexpr, tiles: constexpr, height: constexpr, width: constexpr,
):  # fmt: skip
    """A block's sums for the gradients of bias and weight; the gradient at what was added."""
    of_bias = tl.zeros([width], tl.float32)
    of_weight = tl.zeros([width], tl.float32)
    for tile in range(tiles):
        start = (tl.program_id(0) * tiles + tile) * height
        place, there = tile_of(start, rows, channels, height, width)
        value = load_normalised(x, place, there, mean, inverse, channels, width)
        passed = tl.load(gradient + place, there, 0.0).to(tl.float32)
        if add:
            passed = tl.where(tl.load(y + place, there, 0.0) <= 0.0, 0.0, passed)
            tl.store(of_added + place, passed.to(of_added.dtype.element_ty), there)
        elif relu:
            output = scaled(value, weight, bias, channels, width)
            passed = tl.where(output <= 0.0, 0.0, passed)
        of_bias += tl.sum(passed, 0)
        of_weight += tl.sum(passed * value, 0)
    store_block(of_biases, of_bias, channels, width)
    store_block(of_weights, of_weight, channels, width)


@triton.jit
def finish_gradients(
    of_biases, of_weights, of_bias, of_weight, blocks, channels,
    most: constexpr, width: constexpr,
):  # fmt: skip
    """The sums of all blocks."""
    channel = tl.program_id(0) * width + tl.arange(0, width)
    total = tl.sum(load_blocks(of_biases, blocks, channels, most, width), 0)
    tl.store(of_bias + channel, total, channel < channels)
    total = tl.sum(load_blocks(of_weights, blocks, channels, most, width), 0)
    tl.store(of_weight + channel, total, channel < channels)


@triton.jit
def write_gradients(
    gradient, x, mean, inverse, weight, bias, of_bias, of_weight, of_x, rows, channels,
    relu: constexpr, height: constexpr, width: constexpr,
):  # fmt: skip
    """The gradient at x, from that at the output, or past the addition (then without `relu`)."""
    place, there = tile_of(tl.program_id(0) * height, rows, channels, height, width)
    value = load_normalised(x, place, there, mean, inverse, channels, width)
    passed = tl.load(gradient + place, there, 0.0).to(tl.float32)
    if relu:
        output = scaled(value, weight, bias, channels, width)
        passed = tl.where(output <= 0.0, 0.0, passed)
    passed -= load_channels(of_bias, channels, width) / rows
    passed -= value * (load_channels(of_weight, channels, width) / rows)
    passed *= load_channels(weight, channels, width) * load_channels(inverse, channels, width)
    tl.store(of_x + place, passed.to(of_x.dtype.element_ty), there)
