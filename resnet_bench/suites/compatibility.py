"""Check that a recipe fits the network and the data set, and quantities that depend on both."""

from resnet_bench.datasets.definitions import Dataset, InputShape
from resnet_bench.errors import UserError
from resnet_bench.suites.network import NetworkSpec
from resnet_bench.suites.recipe import Recipe


def train_images(recipe: Recipe, dataset: Dataset) -> int:
    """The number of training images; the others in `dataset` are the validation set."""
    return dataset.train_images if recipe.train_images == "all" else recipe.train_images


def input_shape(dataset: Dataset, recipe: Recipe) -> InputShape:
    """The network's input: images of `dataset` with the recipe's border, or resized."""
    side = dataset.side + 2 * recipe.border
    if recipe.resize != "none":
        side = recipe.resize
    return InputShape(dataset.channels, side, dataset.classes)


def smallest_group(recipe: Recipe, images: int) -> int:
    """The smallest number of images over which batch norm normalizes in training."""
    group = recipe.batch_size if recipe.batch_norm_images == "batch" else recipe.batch_norm_images
    left = images % recipe.batch_size if recipe.last_batch == "short" else 0
    return min(group, left % group or group)


def check_fit(spec: NetworkSpec, recipe: Recipe, dataset: Dataset, where: str) -> None:
    """Raise UserError naming `where` if network, recipe and data set do not fit together."""
    images = train_images(recipe, dataset)
    if images > dataset.train_images:
        problem = f"train_images: {images}, but {dataset.name} has {dataset.train_images}"
    elif recipe.batch_size > images:
        problem = f"batch_size: {recipe.batch_size} of {images} training images"
    elif recipe.batch_size * recipe.records_per_epoch > images:
        most = images // recipe.batch_size
        problem = f"records_per_epoch: {recipe.records_per_epoch} of {most} whole batches"
    elif recipe.padding > dataset.side + 2 * recipe.border:
        problem = f"padding: {recipe.padding}, a crop beside images of {dataset.side} pixels a side"
    elif spec.normalization != "none" and smallest_group(recipe, images) == 1:
        problem = (
            f"batch_size: {recipe.batch_size}, last_batch {recipe.last_batch}, batch_norm_images"
            f" {recipe.batch_norm_images}: of {images} training images one is normalised alone"
        )
    elif spec.architecture == "cifar" and (side := input_shape(dataset, recipe).side) % 4:
        key = "border" if recipe.resize == "none" else "resize"
        value = getattr(recipe, key)
        problem = f"{key}: {value}, but images of {side} pixels a side cannot be halved twice"
    elif recipe.last_scale == "zero" and not spec.can_begin_as_identity:
        problem = "last_scale: zero leaves nothing of a block without shortcut or last norm"
    else:
        return
    raise UserError(f"{where}: recipe.{problem}")
