"""Order, crops and flips: functions of (seed, epoch) alone; preprocessing as in the paper."""

import functools
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch

from resnet_bench.datasets.definitions import DATASETS
from resnet_bench.datasets.load import Images
from resnet_bench.suites.experiment import Experiment
from resnet_bench.suites.network import NetworkSpec
from resnet_bench.suites.recipe import Recipe
from resnet_bench.training import batches as training_batches
from resnet_bench.training.batches import BatchStream, Draw
from resnet_bench.training.data import TrainingData

CPU = torch.device("cpu")


def tiny(recipe: Recipe, images: int = 10, side: int = 8) -> tuple[Experiment, TrainingData]:
    """A data set of random pixels, small enough to check image by image."""
    dataset = replace(
        DATASETS["cifar10"], side=side, train_images=images, test_images=4, largest_pixel=255
    )
    generator = np.random.default_rng(0)

    def draw(count: int) -> Images:
        pixels = generator.integers(0, 256, (count, 3, side, side), dtype=np.uint8)
        return Images(pixels, generator.integers(0, 10, count).astype(np.uint8))

    experiment = Experiment("s", "n", dataset, NetworkSpec(depth=8, shortcut="A"), recipe)
    return experiment, TrainingData(experiment, draw(images), draw(4), CPU)


def test_each_epoch_is_a_permutation_and_batches_run_on_across_the_border() -> None:
    stream = BatchStream(Recipe(iterations=9, batch_size=4), images=10, seed=3)
    seen = np.concatenate([stream.draw(iteration).index for iteration in range(5)])
    assert sorted(seen[:10]) == sorted(seen[10:]) == list(range(10))
    assert list(seen[:10]) == list(stream.epoch(0).index)
    assert list(seen[10:]) == list(stream.epoch(1).index)
    assert list(seen[:10]) != list(seen[10:])
    assert [stream.schedule.epoch_end(epoch) for epoch in (1, 2, 3, 4)] == [
        3,
        5,
        8,
        10,
    ]  # ceil(e*10/4)


@pytest.mark.parametrize(
    ("policy", "sizes", "end"), [("short", [4, 4, 2, 4], 3), ("drop", [4] * 4, 2)]
)
def test_other_policies_for_the_last_batch(policy: str, sizes: list[int], end: int) -> None:
    recipe = Recipe(iterations=9, batch_size=4, last_batch=policy)  # type: ignore[arg-type]
    stream = BatchStream(recipe, images=10, seed=0)
    assert [len(stream.draw(iteration).index) for iteration in range(4)] == sizes
    assert stream.schedule.epoch_end(1) == end
    assert list(stream.draw(end).index) == list(stream.epoch(1).index[:4])


def test_a_batch_depends_on_seed_and_iteration_alone() -> None:
    recipe = Recipe(iterations=9, batch_size=4)
    forwards = [BatchStream(recipe, 10, 0).draw(i).index.tolist() for i in range(6)]
    stream = BatchStream(recipe, 10, 0)
    np.random.seed(123)
    backwards = [stream.draw(i).index.tolist() for i in reversed(range(6))]
    assert forwards == backwards[::-1]
    assert forwards != [BatchStream(recipe, 10, 1).draw(i).index.tolist() for i in range(6)]


def test_neighbouring_seeds_share_no_shuffle() -> None:
    """Adding seed and epoch would make epoch 1 of seed 0 the epoch 0 of seed 1."""
    orders = {
        tuple(BatchStream(Recipe(iterations=9), 50, seed).epoch(epoch).index)
        for seed in range(5)
        for epoch in range(5)
    }
    assert len(orders) == 25


def test_the_stream_is_pinned() -> None:
    """The numbers are part of every published result; a change of library must not move them."""
    epoch = BatchStream(Recipe(iterations=9), 6, seed=0).epoch(0)
    assert epoch.index.tolist() == [3, 2, 1, 0, 4, 5]
    assert epoch.top.tolist() == [0, 7, 6, 4, 5, 7]
    assert epoch.flip.tolist() == [False, False, False, False, True, True]


def test_crops_and_flips_are_uniform() -> None:
    tables = BatchStream(Recipe(iterations=9), 20_000, seed=1).epoch(0)
    for offsets in (tables.top, tables.left):
        counts = np.bincount(offsets, minlength=9)
        assert len(counts) == 9
        assert np.all(np.abs(counts - 20_000 / 9) < 5 * np.sqrt(20_000 / 9))
    assert abs(tables.flip.mean() - 0.5) < 5 * 0.5 / np.sqrt(20_000)
    assert abs(np.corrcoef(tables.top, tables.left)[0, 1]) < 0.05


def test_the_digest_names_the_stream() -> None:
    recipe = Recipe(iterations=9, batch_size=4)
    digest = BatchStream(recipe, 10, 0).digest()
    assert digest == BatchStream(recipe, 10, 0).digest()
    assert digest == BatchStream(recipe.model_copy(update={"learning_rate": 1.0}), 10, 0).digest()
    for change in ({"batch_size": 5}, {"padding": 3}, {"flip": False}, {"iterations": 20}):
        assert digest != BatchStream(recipe.model_copy(update=change), 10, 0).digest()
    assert digest != BatchStream(recipe, 10, 1).digest()
    assert digest != BatchStream(recipe, 11, 0).digest()


@pytest.mark.parametrize(("iterations", "epochs"), [(1, 1), (3, 1), (4, 2), (5, 2), (6, 3)])
def test_the_digest_is_over_the_epochs_that_are_seen(
    iterations: int, epochs: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    stream = BatchStream(Recipe(iterations=iterations, batch_size=4), images=10, seed=0)
    digest, draw, read = stream.digest(), training_batches._epoch_tables, set()

    def changed(number: int, images: int, seed: int, epoch: int, *how: Any) -> Draw:
        read.add(epoch)
        tables = draw(images, seed, epoch, *how)
        return replace(tables, left=tables.left + 1) if epoch == number else tables

    for number in range(4):
        monkeypatch.setattr(training_batches, "_epoch_tables", functools.partial(changed, number))
        training_batches._digest.cache_clear()
        assert (stream.digest() != digest) == (number < epochs)
    assert read == set(range(epochs))
    training_batches._digest.cache_clear()


@pytest.mark.parametrize("pad", ["after-mean", "before-mean"])
def test_a_batch_equals_the_paper_done_image_by_image(pad: str) -> None:
    recipe = Recipe(iterations=9, batch_size=4, padding=2, pad=pad)  # type: ignore[arg-type]
    experiment, data = tiny(recipe)
    stream = BatchStream(recipe, experiment.train_images, seed=5)
    raw = data.train.pixels.numpy().transpose(0, 3, 1, 2).astype(np.float64) / 255
    mean = raw.mean(axis=0)
    for iteration in range(5):
        draw = stream.draw(iteration)
        images, labels = data.batch(draw)
        assert images.is_contiguous(memory_format=torch.channels_last)
        assert torch.equal(labels, data.train.labels[torch.from_numpy(draw.index)])
        for position, index in enumerate(draw.index):
            image = raw[index] - (mean if pad == "after-mean" else 0)
            image = np.pad(image, ((0, 0), (2, 2), (2, 2)))
            top, left = draw.top[position], draw.left[position]
            image = image[:, top : top + 8, left : left + 8]
            if draw.flip[position]:
                image = image[:, :, ::-1]
            if pad == "before-mean":
                image = image - mean
            expected = torch.from_numpy(image.copy()).float()
            torch.testing.assert_close(images[position], expected, rtol=0, atol=1e-6)


def test_the_mean_is_of_the_training_images_alone() -> None:
    recipe = Recipe(iterations=9, batch_size=4, train_images=7)
    _, data = tiny(recipe)
    assert (len(data.train), len(data.validation), len(data.test)) == (7, 3, 4)
    expected = data.train.pixels.double().mean(dim=0) / 255
    torch.testing.assert_close(data.mean.double(), expected, rtol=0, atol=1e-6)
    batches = list(data.plain_batches(data.test, 3))
    assert [len(labels) for _, labels in batches] == [3, 1]
    whole = data.test.pixels.float() / 255 - data.mean
    torch.testing.assert_close(torch.cat([b for b, _ in batches]), whole.permute(0, 3, 1, 2))


def test_what_is_measured_at_a_time_suits_the_device(monkeypatch: pytest.MonkeyPatch) -> None:
    _, data = tiny(Recipe(iterations=9, batch_size=4))
    monkeypatch.setattr("resnet_bench.training.data.CPU_IMAGES", 2)
    monkeypatch.setattr("resnet_bench.training.data.GPU_PIXELS", 3 * data.side**2)

    def sizes() -> list[int]:
        return [len(labels) for _, labels in data.measured_batches(data.test)]

    assert sizes() == [2, 2]
    data.device = torch.device("cuda")
    assert sizes() == [3, 1]
    data.resized = 2 * data.side  # a fourth as many, but never none
    assert sizes() == [1, 1, 1, 1]
