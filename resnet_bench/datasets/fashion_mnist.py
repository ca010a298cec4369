"""Fashion-MNIST: its download, and the layout of files in which it is read."""

import gzip
from functools import partial
from pathlib import Path

import numpy as np

from resnet_bench.datasets.definitions import Dataset
from resnet_bench.datasets.source import (
    Sources,
    UnverifiedArray,
    UnverifiedArrays,
    download_with_torchvision,
    first_folder_with,
    reading,
)

IDX_FILES = {
    "train_pixels": "train-images-idx3-ubyte",
    "train_labels": "train-labels-idx1-ubyte",
    "test_pixels": "t10k-images-idx3-ubyte",
    "test_labels": "t10k-labels-idx1-ubyte",
}
# Where Debian's package dataset-fashion-mnist puts it, whatever the data folder.
DEBIAN_FASHION_MNIST = Path("/usr/share/datasets/fashion-mnist")


def read_idx_files(dataset: Dataset, folder: Path) -> UnverifiedArrays | None:
    """The four published IDX files, gzipped or not, from torchvision or Debian."""
    folders = (
        folder / "FashionMNIST" / "raw",
        folder / "fashion-mnist",
        folder,
        DEBIAN_FASHION_MNIST,
    )
    gzipped = [f"{name}.gz" for name in IDX_FILES.values()]
    place = first_folder_with((*IDX_FILES.values(), *gzipped), *folders)
    if place is None:
        return None
    found = {}
    for array_name, name in IDX_FILES.items():
        path = place / name if (place / name).exists() else place / f"{name}.gz"
        found[array_name] = UnverifiedArray(_read_idx(path), str(path))
    return found


def _read_idx(path: Path) -> np.ndarray:
    """An IDX file of bytes: two zeros, 8 for uint8, the number of dimensions, each as 4 bytes.

    torchvision's reader takes no gzipped file.
    """
    with reading(path):
        contents = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
        if contents[:3] != b"\0\0\x08":
            raise ValueError("not an IDX file of bytes")
        dimensions = contents[3]
        shape = np.frombuffer(contents, ">u4", count=dimensions, offset=4)
        return np.frombuffer(contents, np.uint8, offset=4 + 4 * dimensions).reshape(shape)


SOURCES = Sources(
    readers=(read_idx_files,),
    downloads={"torchvision's host": partial(download_with_torchvision, "FashionMNIST")},
    instructions=(
        "fashion-mnist/ with train-images-idx3-ubyte.gz, train-labels-idx1-ubyte.gz,"
        " t10k-images-idx3-ubyte.gz and t10k-labels-idx1-ubyte.gz",
        "on Debian nothing in that folder: apt-get install dataset-fashion-mnist",
    ),
)
