"""A verified data set as tensors on a device: whole batches, no work image by image.

Section 4.2's preprocessing: subtract the per-pixel mean of the training images; for training,
pad 4 zero pixels on each side, crop at random, flip at random; test images as they are.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

from resnet_bench.datasets.definitions import Dataset
from resnet_bench.datasets.load import Images
from resnet_bench.suites.experiment import Experiment
from resnet_bench.training.batches import Draw

# How much is measured at a time: but for rounding the result does not depend on it, memory and
# speed do. 500 images suit a core's cache. On a GPU the largest maps of 500 of CIFAR-10's are
# 33 MB, which stay in the cache of 50 MB.
CPU_IMAGES = 500
GPU_PIXELS = 500 * 32 * 32


@dataclass(frozen=True)
class Split:
    """Images and labels that belong together, on a device."""

    pixels: Tensor  # uint8 (N, H, W, C)
    labels: Tensor  # int64 (N,)

    def __len__(self) -> int:
        return len(self.labels)


class TrainingData:
    """The training, validation and test images of an experiment, ready for a network.

    Pixels stay uint8, as (N, H, W, C), so that CIFAR-10 takes 180 MB and a batch comes out in
    channels_last order; the mean is subtracted batch by batch.
    """

    def __init__(
        self, experiment: Experiment, train: Images, test: Images, device: torch.device
    ) -> None:
        recipe = experiment.recipe
        count = experiment.train_images
        self.dataset: Dataset = experiment.dataset
        self.device = device
        self.padding = recipe.padding
        self.pad_before_mean = recipe.pad == "before-mean"
        self.side = self.dataset.side + 2 * recipe.border
        self.resized = None if recipe.resize == "none" else recipe.resize
        # Held-out images are the last ones; CIFAR-10 and the digits come in random order.
        self.train = _part(train, slice(0, count), recipe.border, device)
        self.validation = _part(train, slice(count, None), recipe.border, device)
        self.test = _part(test, slice(None), recipe.border, device)
        mean = train.pixels[:count].mean(axis=0, dtype=np.float64) / self.dataset.largest_pixel
        mean = _framed(mean if recipe.subtract_mean else np.zeros_like(mean), recipe.border)
        # A tensor: by a number, a GPU would multiply with the reciprocal, to other last bits.
        self.largest_pixel = torch.tensor(float(self.dataset.largest_pixel), device=device)
        self.mean = torch.from_numpy(mean).float().permute(1, 2, 0).contiguous().to(device)
        # Zeros after the mean was subtracted are pixels equal to a mean of zero: with both padded
        # by zeros, padding before and after subtraction are the same gather.
        border = (0, 0, self.padding, self.padding, self.padding, self.padding)
        self.padded_pixels = F.pad(self.train.pixels, border)
        self.padded_mean = F.pad(self.mean, border)
        self.steps = torch.arange(self.side, device=device)  # along a row or a column

    def batch(self, draw: Draw) -> tuple[Tensor, Tensor]:
        """A training batch: images float32 (B, C, H, W), channels_last; labels int64 (B,)."""
        index, top, left, flip = self._on_device(draw)
        rows = (self.steps + top[:, None])[:, :, None]
        columns = torch.where(flip[:, None] == 1, self.steps.flip(0), self.steps)
        cols = (columns + left[:, None])[:, None, :]
        pixels = self.padded_pixels[index[:, None, None], rows, cols]  # (B, H, W, C)
        mean = self.mean if self.pad_before_mean else self.padded_mean[rows, cols]
        return self._normalized(pixels, mean), self.train.labels[index]

    def _on_device(self, draw: Draw) -> tuple[Tensor, ...]:
        """The tables of `draw`, int64 (B,) each, in one copy that a GPU does not make wait."""
        tables = torch.from_numpy(np.stack([draw.index, draw.top, draw.left, draw.flip]))
        if self.device.type == "cuda":
            tables = tables.pin_memory().to(self.device, non_blocking=True)
        return tables.unbind()

    def plain_batches(self, part: Split, size: int) -> Iterator[tuple[Tensor, Tensor]]:
        """The images of `part` in order, un-augmented, `size` at a time; the last may be short."""
        for start in range(0, len(part), size):
            pixels = part.pixels[start : start + size]
            yield self._normalized(pixels, self.mean), part.labels[start : start + size]

    @property
    def measured_images(self) -> int:
        """How many images are measured at a time: as suits the device."""
        side = self.resized or self.side
        return max(1, GPU_PIXELS // side**2) if self.device.type == "cuda" else CPU_IMAGES

    def measured_batches(self, part: Split) -> Iterator[tuple[Tensor, Tensor]]:
        """The images of `part` in order, un-augmented, `measured_images` at a time."""
        return self.plain_batches(part, self.measured_images)

    def _normalized(self, pixels: Tensor, mean: Tensor) -> Tensor:
        """Pixels (B, H, W, C) less their mean, on a scale where the largest pixel is 1.

        (B, C, H, W), or with the recipe's other side.
        """
        images = pixels.float().div_(self.largest_pixel).sub_(mean)
        images = images.permute(0, 3, 1, 2)  # a view, in channels_last order
        if self.resized is None:
            return images
        # Smoothed where it shrinks, as PIL and torchvision's Resize do.
        return F.interpolate(
            images, (self.resized, self.resized), mode="bilinear", antialias=True
        ).contiguous(memory_format=torch.channels_last)


def _part(images: Images, part: slice, border: int, device: torch.device) -> Split:
    pixels = np.ascontiguousarray(_framed(images.pixels[part], border).transpose(0, 2, 3, 1))
    labels = images.labels[part].astype(np.int64)
    return Split(torch.from_numpy(pixels).to(device), torch.from_numpy(labels).to(device))


def _framed(pixels: NDArray[Any], border: int) -> NDArray[Any]:
    """Images (..., H, W) in a frame of `border` zeros."""
    sides = [(0, 0)] * (pixels.ndim - 2) + [(border, border)] * 2
    return np.pad(pixels, sides) if border else pixels
