"""Batches as a pure function of (recipe, seed, iteration): the other half of what makes a match.

Order, crops and flips of an epoch depend on (seed, epoch) alone, never on the network, the
device or a global random stream, so all networks of a suite see the same images in the same
order, and a run can be resumed at any iteration.
"""

import hashlib
from dataclasses import dataclass
from functools import lru_cache
from itertools import count

import numpy as np
from numpy.typing import NDArray

from resnet_bench.suites.recipe import Recipe
from resnet_bench.training.schedule import RecordSchedule


@dataclass(frozen=True)
class Draw:
    """Which images a batch holds and how each is cropped and flipped; B images."""

    index: NDArray[np.int64]  # (B,) position in the training set
    top: NDArray[np.int64]  # (B,) first row of the crop in the padded image, in pixels
    left: NDArray[np.int64]  # (B,)
    flip: NDArray[np.bool_]  # (B,) mirrored left to right

    def __getitem__(self, part: slice) -> "Draw":
        return Draw(self.index[part], self.top[part], self.left[part], self.flip[part])


class BatchStream:
    """The training batches of one seed, for `images` training images under `recipe`.

    With `last_batch = "run-on"` batches of a fixed size run on across the border of two epochs,
    so that iterations are the clock (64k iterations of the paper are 163.84 epochs).
    """

    def __init__(self, recipe: Recipe, images: int, seed: int) -> None:
        self.recipe = recipe
        self.images = images
        self.seed = seed
        self.schedule = RecordSchedule(recipe, images)

    def draw(self, iteration: int) -> Draw:
        """The batch of `iteration`, counted from 0."""
        size, images = self.recipe.batch_size, self.images
        if self.recipe.last_batch != "run-on":
            epoch, number = divmod(iteration, self.schedule.iterations_per_epoch())
            return self.epoch(epoch)[number * size : (number + 1) * size]
        pieces, start, end = [], iteration * size, (iteration + 1) * size
        while start < end:
            epoch, offset = divmod(start, images)
            piece = self.epoch(epoch)[offset : offset + end - start]
            pieces.append(piece)
            start += len(piece.index)
        return pieces[0] if len(pieces) == 1 else _concatenate(pieces)

    def epoch(self, epoch: int) -> Draw:
        """The tables of a whole epoch, counted from 0: (N,) each."""
        recipe = self.recipe
        return _epoch_tables(self.images, self.seed, epoch, recipe.padding, recipe.flip)

    def digest(self) -> str:
        """SHA-256 over the tables of the epochs that are trained on.

        One that only the last batch reaches into is left out, as in every run.json so far.
        """
        recipe = self.recipe
        epochs = next(n for n in count() if self.schedule.epoch_end(n) >= recipe.iterations)
        batches = f"{recipe.batch_size} {recipe.last_batch} "
        return _digest(batches, self.images, self.seed, epochs, recipe.padding, recipe.flip)


@lru_cache(maxsize=4)
def _epoch_tables(images: int, seed: int, epoch: int, padding: int, flip: bool) -> Draw:
    # Seed and epoch are mixed, not added, so that neighbouring seeds share no shuffle. Only the
    # raw words of the generator are used: numpy promises them for ever, unlike `permutation`.
    words = np.random.PCG64(np.random.SeedSequence((seed, epoch)))
    order = np.argsort(words.random_raw(images), kind="stable")
    offsets = words.random_raw(2 * images) % (2 * padding + 1)
    mirrored = words.random_raw(images) >> 63  # the top bit
    return Draw(
        index=order.astype(np.int64),
        top=offsets[:images].astype(np.int64),
        left=offsets[images:].astype(np.int64),
        flip=mirrored.astype(bool) & flip,
    )


@lru_cache(maxsize=8)  # equal for all networks of a seed; at the paper's length it takes seconds
def _digest(batches: str, images: int, seed: int, epochs: int, padding: int, flip: bool) -> str:
    sha = hashlib.sha256(batches.encode())
    for epoch in range(epochs):
        tables = _epoch_tables(images, seed, epoch, padding, flip)
        sha.update(tables.index.astype("<i4").tobytes())
        sha.update(tables.top.astype(np.uint8).tobytes())
        sha.update(tables.left.astype(np.uint8).tobytes())
        sha.update(tables.flip.astype(np.uint8).tobytes())
    return sha.hexdigest()


def _concatenate(pieces: list[Draw]) -> Draw:
    return Draw(
        np.concatenate([piece.index for piece in pieces]),
        np.concatenate([piece.top for piece in pieces]),
        np.concatenate([piece.left for piece in pieces]),
        np.concatenate([piece.flip for piece in pieces]),
    )
