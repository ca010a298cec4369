"""Load a data set: read it from the data folder or fetch it, and verify its digests.

Nothing here imports torch, torchvision or scikit-learn before it has to.
"""

import hashlib
import os
import shutil
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from resnet_bench.datasets import cifar10, digits, fashion_mnist
from resnet_bench.datasets.definitions import Dataset
from resnet_bench.datasets.source import (
    ARRAY_NAMES,
    Sources,
    UnavailableError,
    UnverifiedArray,
    UnverifiedArrays,
    reading,
)
from resnet_bench.datasets.workspace import Log, workspace_in
from resnet_bench.errors import UserError
from resnet_bench.paths import default_data_folder, expanded


@dataclass(frozen=True)
class Images:
    """The training or test images of a data set, verified by digest."""

    pixels: np.ndarray  # uint8 (N, channels, side, side)
    labels: np.ndarray  # uint8 (N,)


SOURCES = {
    "digits": digits.SOURCES,
    "cifar10": cifar10.SOURCES,
    "fashion": fashion_mnist.SOURCES,
}


def load_dataset(
    dataset: Dataset, data_folder: Path | None = None, *, log: Log = print
) -> tuple[Images, Images]:
    """Training and test images, verified by digest; fetched if the data folder lacks them.

    Without a `data_folder`: RESNET_BENCH_DATA, else data/ beside the package. Raises UserError
    for files that are damaged or not the data set's, for a folder that cannot be used, and where
    no download works.
    """
    folder = default_data_folder() if data_folder is None else expanded(data_folder)
    sources = SOURCES[dataset.name]
    try:
        return (
            _read_decoded(dataset, folder)
            or _read_placed(dataset, folder, sources)
            or _fetch(dataset, folder, sources, log)
        )
    except OSError as error:
        raise UserError(
            f"the data folder {folder} cannot be used: {error.strerror or error};"
            " name another one with --data-dir or RESNET_BENCH_DATA"
        ) from error


def _read_decoded(dataset: Dataset, folder: Path) -> tuple[Images, Images] | None:
    """The arrays that an earlier call saved; None without them.

    Damage raises UserError instead of starting another download: these files were verified when
    they were saved, so a failing disk or an edit should be noticed.
    """
    place = _decoded_folder(dataset, folder)
    if not place.exists():
        return None
    arrays = {}
    try:
        for name in ARRAY_NAMES:
            path = place / f"{name}.npy"
            with reading(path):
                # Not memory-mapped: a file that changes later must not change what was verified.
                arrays[name] = UnverifiedArray(np.load(path, allow_pickle=False), str(path))
        return _verify(dataset, arrays)
    except UserError as error:
        raise UserError(f"{error}; delete {place} to have it made again") from error


def _read_placed(dataset: Dataset, folder: Path, sources: Sources) -> tuple[Images, Images] | None:
    """The data set from the files that somebody placed in the data folder; None without any."""
    for reader in sources.readers:
        arrays = reader(dataset, folder)
        if arrays is None:
            continue
        images = _verify(dataset, arrays)
        if sources.save_decoded:
            try:
                with workspace_in(dataset, folder, log=lambda _: None) as workspace:
                    _save_decoded(dataset, folder, arrays, workspace)
            except OSError:
                pass  # it would only save time
        return images
    return None


def _fetch(dataset: Dataset, folder: Path, sources: Sources, log: Log) -> tuple[Images, Images]:
    """Download, verify and save; one process at a time in a data folder."""
    with workspace_in(dataset, folder, log) as workspace:
        # Another process may have fetched it while this one waited.
        if images := _read_decoded(dataset, folder):
            return images
        arrays = _download(dataset, folder, sources, workspace, log)
        images = _verify(dataset, arrays)
        _save_decoded(dataset, folder, arrays, workspace)
    log(f"{dataset.name}: verified, kept in {_decoded_folder(dataset, folder)}")
    return images


def _download(
    dataset: Dataset, folder: Path, sources: Sources, workspace: Path, log: Log
) -> UnverifiedArrays:
    """The data set from the first download that works; raises UserError if none does."""
    for number, (source, fetch) in enumerate(sources.downloads.items()):
        log(f"{dataset.name}: fetching from {source}")
        target = workspace / str(number)
        target.mkdir()
        try:
            fetch(target)
        except UnavailableError as error:
            log(f"{dataset.name}: not from {source}: {error}")
            shutil.rmtree(target)
            continue
        for reader in sources.readers:
            if arrays := reader(dataset, target):
                return arrays
    ways = "".join(f"\n  - {way}" for way in sources.instructions)
    raise UserError(
        f"{dataset.name} is not in {folder} and cannot be fetched; place it in that folder,"
        f" or in another that --data-dir or RESNET_BENCH_DATA names, as one of{ways}\n"
        f"and check it with: make data DATASET={dataset.name}"
    )


def _verify(dataset: Dataset, found: UnverifiedArrays) -> tuple[Images, Images]:
    """Training and test images; raises UserError if an array's SHA-256 is not the data set's."""
    arrays = {}
    for name in ARRAY_NAMES:
        array, origin = found[name]
        if array.dtype != np.uint8:
            raise UserError(f"{origin}: {name} holds {array.dtype}, expected uint8")
        contiguous = np.require(array, requirements=["C", "W"])
        digest = hashlib.sha256(contiguous.data).hexdigest()
        expected = getattr(dataset, f"{name}_sha256")
        if digest != expected:
            raise UserError(
                f"{origin}: not the {name.replace('_', ' ')} of {dataset.name}:"
                f" SHA-256 {digest}, expected {expected}"
            )
        arrays[name] = contiguous
    shape = (-1, dataset.channels, dataset.side, dataset.side)
    return (
        Images(arrays["train_pixels"].reshape(shape), arrays["train_labels"].reshape(-1)),
        Images(arrays["test_pixels"].reshape(shape), arrays["test_labels"].reshape(-1)),
    )


def _decoded_folder(dataset: Dataset, folder: Path) -> Path:
    return folder / f"{dataset.name}-decoded"


def _save_decoded(
    dataset: Dataset, folder: Path, arrays: UnverifiedArrays, workspace: Path
) -> None:
    """Save verified arrays for `_read_decoded`, all at once by renaming; raises OSError."""
    place = _decoded_folder(dataset, folder)
    if place.exists():
        return
    complete = workspace / "decoded"
    complete.mkdir()
    for name in ARRAY_NAMES:
        with (complete / f"{name}.npy").open("wb") as file:
            np.save(file, arrays[name].array, allow_pickle=False)
            file.flush()
            os.fsync(file.fileno())
    complete.replace(place)
