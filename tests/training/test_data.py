"""What tutorials do to images besides cropping: frame, resize, leave the mean alone."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from resnet_bench.datasets.definitions import DATASETS
from resnet_bench.datasets.load import Images
from resnet_bench.datasets.vision import v2
from resnet_bench.suites.experiment import Experiment
from resnet_bench.suites.network import NetworkSpec
from resnet_bench.suites.recipe import Recipe
from resnet_bench.training.batches import BatchStream
from resnet_bench.training.data import TrainingData

CPU = torch.device("cpu")
PIXELS = np.random.default_rng(0).integers(0, 256, (6, 1, 28, 28), dtype=np.uint8)


def data_of(**recipe: Any) -> tuple[Experiment, TrainingData]:
    """Six images in the shape of Fashion-MNIST, the test set among them, no crop and no flip."""
    dataset = replace(DATASETS["fashion"], train_images=6, test_images=2)
    settings = {"iterations": 4, "batch_size": 2, "padding": 0, "flip": False, **recipe}
    experiment = Experiment(
        "s", "n", dataset, NetworkSpec(depth=8, shortcut="A"), Recipe(**settings)
    )
    labels = np.arange(6, dtype=np.uint8)
    train, test = Images(PIXELS, labels), Images(PIXELS[:2], labels[:2])
    return experiment, TrainingData(experiment, train, test, CPU)


def first_batch(experiment: Experiment, data: TrainingData) -> tuple[torch.Tensor, np.ndarray]:
    """The first training batch, and which images it holds."""
    draw = BatchStream(experiment.recipe, 6, seed=0).draw(0)
    images, labels = data.batch(draw)
    assert images.is_contiguous(memory_format=torch.channels_last)
    assert labels.tolist() == draw.index.tolist()
    assert images.shape[1:] == (1, experiment.images.side, experiment.images.side)
    return images, draw.index


def test_without_the_mean_pixels_are_those_of_to_tensor() -> None:
    experiment, data = data_of(subtract_mean=False)
    images, index = first_batch(experiment, data)
    to_tensor = v2.Compose([v2.ToImage(), v2.ToDtype(torch.float32, scale=True)])
    for image, number in zip(images, index, strict=True):
        expected = to_tensor(Image.fromarray(PIXELS[number, 0]))
        torch.testing.assert_close(image, torch.Tensor(expected), rtol=0, atol=1e-7)


@pytest.mark.parametrize("side", [96, 12])
def test_a_resized_image_is_torchvisions_but_for_its_rounding(side: int) -> None:
    """Of a PIL image, as d2l's book does it: whole grey levels after rows and after columns."""
    experiment, data = data_of(subtract_mean=False, resize=side)
    images, index = first_batch(experiment, data)
    (test,) = [batch for batch, _ in data.plain_batches(data.test, 2)]
    for image, number in [*zip(images, index, strict=True), (test[0], 0), (test[1], 1)]:
        theirs = np.asarray(v2.Resize((side, side))(Image.fromarray(PIXELS[number, 0])))
        difference = image[0].numpy() * 255 - theirs
        assert np.abs(difference).max() <= 1.001  # half a level, twice
        assert abs(difference.mean()) < 0.1


def test_a_border_frames_every_image_with_zeros() -> None:
    experiment, data = data_of(border=2)
    images, index = first_batch(experiment, data)
    mean = PIXELS.mean(axis=0) / 255
    (test,) = [batch for batch, _ in data.plain_batches(data.test, 2)]
    for image, number in [*zip(images, index, strict=True), (test[0], 0), (test[1], 1)]:
        expected = np.pad(PIXELS[number, 0] / 255 - mean[0], 2)  # 28 pixels become 32
        np.testing.assert_allclose(image[0].numpy(), expected, atol=1e-6)


def test_crops_move_the_framed_image() -> None:
    experiment, data = data_of(border=2, padding=4, subtract_mean=False)
    draw = BatchStream(experiment.recipe, 6, seed=0).draw(0)
    images, _ = data.batch(draw)
    for image, number, top, left in zip(images, draw.index, draw.top, draw.left, strict=True):
        framed = np.pad(PIXELS[number, 0] / 255, 2 + 4)
        expected = framed[top : top + 32, left : left + 32]
        np.testing.assert_allclose(image[0].numpy(), expected, atol=1e-6)
