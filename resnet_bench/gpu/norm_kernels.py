"""Triton kernels of batch norm with the ReLU, or addition and ReLU, that follow it.

Maps (N, C, H, W) in channels_last order are matrices: a row for each pixel of each image, a column
for each channel. Sums over rows have two stages: each program sums a block of rows, then one adds
up the blocks in their order. So they have the same bits every time, which atomics have not. Sums
and statistics are float32, whatever the maps are.
"""

import triton
from triton import language as tl


@triton.jit
def tile_of(start, rows, channels, R: tl.constexpr, C: tl.constexpr):
    """Where rows from `start` and this program's channels lie, and which of them there are."""
    row = start + tl.arange(0, R)[:, None]
    channel = tl.program_id(1) * C + tl.arange(0, C)[None, :]
    return row * channels + channel, (row < rows) & (channel < channels)


@triton.jit
def load_channels(vector, channels, C: tl.constexpr):
    channel = tl.program_id(1) * C + tl.arange(0, C)[None, :]
    return tl.load(vector + channel, channel < channels, 0.0)


@triton.jit
def store_block(sums, values, channels, C: tl.constexpr):
    """Write this program's `values`, one for each channel, as its row of `sums`."""
    channel = tl.program_id(1) * C + tl.arange(0, C)
    tl.store(sums + tl.program_id(0) * channels + channel, values, channel < channels)


@triton.jit
def block_statistics(
    x, means, squares, rows, channels, TILES: tl.constexpr, R: tl.constexpr, C: tl.constexpr
):
    """A block's means, and its sums of squared deviations from them (Chan et al. 1979)."""
    mean = tl.zeros([C], tl.float32)
    square = tl.zeros([C], tl.float32)
    for tile in range(TILES):
        start = (tl.program_id(0) * TILES + tile) * R
        place, there = tile_of(start, rows, channels, R, C)
        value = tl.load(x + place, there, 0.0).to(tl.float32)
        count = tl.minimum(tl.maximum(rows - start, 0), R).to(tl.float32)
        tile_mean = tl.sum(value, 0) / tl.maximum(count, 1.0)
        deviation = tl.where(there, value - tile_mean[None, :], 0.0)
        change = tile_mean - mean
        share = count / (tile * R + count)
        mean += change * share
        square += tl.sum(deviation * deviation, 0) + change * change * (tile * R) * share
    store_block(means, mean, channels, C)
    store_block(squares, square, channels, C)


@triton.jit
def load_blocks(sums, blocks, channels, B: tl.constexpr, C: tl.constexpr):
    """The rows of all blocks, for this program's channels."""
    block = tl.arange(0, B)[:, None]
    channel = tl.program_id(0) * C + tl.arange(0, C)[None, :]
    there = (block < blocks) & (channel < channels)
    return tl.load(sums + block * channels + channel, there, 0.0)


@triton.jit
def finish_statistics(
    means, squares, mean_of, inverse_of, running_mean, running_variance,
    rows, blocks, channels, momentum, epsilon,
    EACH: tl.constexpr, B: tl.constexpr, C: tl.constexpr,
):  # fmt: skip
    """Mean and 1 / standard deviation over all rows; the running statistics move."""
    block_mean = load_blocks(means, blocks, channels, B, C)
    count = rows - tl.arange(0, B)[:, None] * EACH
    count = tl.minimum(tl.maximum(count, 0), EACH).to(tl.float32)
    mean = tl.sum(block_mean * count, 0) / rows
    between = block_mean - mean[None, :]
    square = tl.sum(load_blocks(squares, blocks, channels, B, C) + between * between * count, 0)
    channel = tl.program_id(0) * C + tl.arange(0, C)
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
    ADD: tl.constexpr, RELU: tl.constexpr, R: tl.constexpr, C: tl.constexpr,
):  # fmt: skip
    """y = relu(norm(x) + added), or without the addition, or without the ReLU."""
    place, there = tile_of(tl.program_id(0) * R, rows, channels, R, C)
    value = tl.load(x + place, there, 0.0).to(tl.float32) - load_channels(mean, channels, C)
    value *= load_channels(inverse, channels, C)
    value = value * load_channels(weight, channels, C) + load_channels(bias, channels, C)
    if ADD:
        value += tl.load(added + place, there, 0.0).to(tl.float32)
    if RELU:
        value = tl.maximum(value, 0.0, propagate_nan=tl.PropagateNan.ALL)
    tl.store(y + place, value.to(y.dtype.element_ty), there)


@triton.jit
def block_gradients(
    gradient, x, y, mean, inverse, weight, bias, of_added, of_biases, of_weights,
    rows, channels,
    ADD: tl.constexpr, RELU: tl.constexpr, TILES: tl.constexpr, R: tl.constexpr, C: tl.constexpr,
):  # fmt: skip
    """A block's sums for the gradients of bias and weight; the gradient at what was added."""
    of_bias = tl.zeros([C], tl.float32)
    of_weight = tl.zeros([C], tl.float32)
    for tile in range(TILES):
        start = (tl.program_id(0) * TILES + tile) * R
        place, there = tile_of(start, rows, channels, R, C)
        value = tl.load(x + place, there, 0.0).to(tl.float32) - load_channels(mean, channels, C)
        value *= load_channels(inverse, channels, C)
        passed = tl.load(gradient + place, there, 0.0).to(tl.float32)
        if ADD:
            passed = tl.where(tl.load(y + place, there, 0.0) <= 0.0, 0.0, passed)
            tl.store(of_added + place, passed.to(of_added.dtype.element_ty), there)
        elif RELU:
            output = value * load_channels(weight, channels, C) + load_channels(bias, channels, C)
            passed = tl.where(output <= 0.0, 0.0, passed)
        of_bias += tl.sum(passed, 0)
        of_weight += tl.sum(passed * value, 0)
    store_block(of_biases, of_bias, channels, C)
    store_block(of_weights, of_weight, channels, C)


@triton.jit
def finish_gradients(
    of_biases, of_weights, of_bias, of_weight, blocks, channels, B: tl.constexpr, C: tl.constexpr
):
    channel = tl.program_id(0) * C + tl.arange(0, C)
    total = tl.sum(load_blocks(of_biases, blocks, channels, B, C), 0)
    tl.store(of_bias + channel, total, channel < channels)
    total = tl.sum(load_blocks(of_weights, blocks, channels, B, C), 0)
    tl.store(of_weight + channel, total, channel < channels)


@triton.jit
def write_gradients(
    gradient, x, mean, inverse, weight, bias, of_bias, of_weight, of_x, rows, channels,
    RELU: tl.constexpr, R: tl.constexpr, C: tl.constexpr,
):  # fmt: skip
    """The gradient at x, from that at the output, or past the addition (then without `RELU`)."""
    place, there = tile_of(tl.program_id(0) * R, rows, channels, R, C)
    value = tl.load(x + place, there, 0.0).to(tl.float32) - load_channels(mean, channels, C)
    value *= load_channels(inverse, channels, C)
    scale = load_channels(weight, channels, C)
    passed = tl.load(gradient + place, there, 0.0).to(tl.float32)
    if RELU:
        passed = tl.where(value * scale + load_channels(bias, channels, C) <= 0.0, 0.0, passed)
    passed -= load_channels(of_bias, channels, C) / rows
    passed -= value * (load_channels(of_weight, channels, C) / rows)
    passed *= scale * load_channels(inverse, channels, C)
    tl.store(of_x + place, passed.to(of_x.dtype.element_ty), there)
