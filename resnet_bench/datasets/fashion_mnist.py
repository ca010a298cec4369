"""Fashion-MNIST: where it can be fetched, and the layout in which it is read."""

import gzip
from pathlib import Path

import numpy as np

from resnet_bench.datasets.definitions import Dataset
from resnet_bench.datasets.source import (
    Decoded,
    RawArray,
    _first_place_with,
    _official_host,
    reading,
)


def fashion_from_torchvision(folder: Path) -> None:
    """The four official files, checked by their MD5, in FashionMNIST/raw."""
    with _official_host():
        from resnet_bench.datasets.vision import datasets

        datasets.FashionMNIST(folder, download=True)


IDX_FILES = {
    "train_pixels": "train-images-idx3-ubyte",
    "train_labels": "train-labels-idx1-ubyte",
    "test_pixels": "t10k-images-idx3-ubyte",
    "test_labels": "t10k-labels-idx1-ubyte",
}
# Where Debian's package dataset-fashion-mnist puts it, whatever the data folder.
DEBIAN_FASHION_MNIST = Path("/usr/share/datasets/fashion-mnist")


def read_fashion_idx(dataset: Dataset, folder: Path) -> Decoded | None:
    """Fashion-MNIST as published: four IDX files, gzipped or not; torchvision's or Debian's."""
    places = (
        folder / "FashionMNIST" / "raw",
        folder / "fashion-mnist",
        folder,
        DEBIAN_FASHION_MNIST,
    )
    gzipped = [f"{name}.gz" for name in IDX_FILES.values()]
    place = _first_place_with((*IDX_FILES.values(), *gzipped), *places)
    if place is None:
        return None
    decoded = {}
    for part, name in IDX_FILES.items():
        path = place / name if (place / name).exists() else place / f"{name}.gz"
        decoded[part] = RawArray(_read_idx(path), str(path))
    return decoded


def _read_idx(path: Path) -> np.ndarray:
    """An IDX file of bytes: two zeros, 8 for uint8, how many dimensions, each as 4 bytes."""
    with reading(path):
        contents = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
        if contents[:3] != b"\0\0\x08":
            raise ValueError("not an IDX file of bytes")
        dimensions = contents[3]
        shape = np.frombuffer(contents, ">u4", count=dimensions, offset=4)
        return np.frombuffer(contents, np.uint8, offset=4 + 4 * dimensions).reshape(shape)
