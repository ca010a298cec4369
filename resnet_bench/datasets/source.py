"""What every data set's file uses: arrays not verified yet, ways to get them, one-line errors.

This package holds no address: torchvision knows the official hosts, scikit-learn OpenML's, and npm
its registry.
"""

import io
import socket
import textwrap
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, redirect_stdout
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

import numpy as np

from resnet_bench.datasets.definitions import Dataset
from resnet_bench.errors import UserError

HOST_TIMEOUT = 15.0  # seconds without an answer, or without a byte, from a host

ARRAY_NAMES = ("train_pixels", "train_labels", "test_pixels", "test_labels")


class UnverifiedArray(NamedTuple):
    """One array of a data set before its digest is checked."""

    array: np.ndarray  # uint8
    origin: str  # the file or folder that it was read from


UnverifiedArrays = dict[str, UnverifiedArray]  # by ARRAY_NAMES
# Looks for one layout of files in a folder; None if no file of that layout is there.
Reader = Callable[[Dataset, Path], UnverifiedArrays | None]


class UnavailableError(Exception):
    """A download failed, for a reason in one line; the next source may work."""


# Fills an empty folder; raises UnavailableError, or OSError where it cannot write.
Fetch = Callable[[Path], None]


@dataclass(frozen=True)
class Sources:
    """Where one data set may come from, in the order of trying."""

    readers: tuple[Reader, ...]  # of the layouts that the data folder may hold
    downloads: Mapping[str, Fetch] = field(default_factory=dict)  # by what messages call them
    instructions: tuple[str, ...] = ()  # for placing the files by hand
    save_decoded: bool = False  # also when nothing was fetched, because reading is slow


def arrays_from(origin: Path | str, *arrays: np.ndarray) -> UnverifiedArrays:
    """`arrays`, in the order of ARRAY_NAMES, all read from `origin`."""
    return {
        name: UnverifiedArray(array, str(origin))
        for name, array in zip(ARRAY_NAMES, arrays, strict=True)
    }


def download_with_torchvision(name: str, folder: Path) -> None:
    """Download torchvision.datasets.`name`, which checks the MD5 of its files, to `folder`.

    Raises UnavailableError whatever fails: no answer, a torn transfer, a wrong MD5, ...
    """
    with downloading():
        from resnet_bench.datasets.vision import datasets

        getattr(datasets, name)(folder, download=True)


@contextmanager
def downloading() -> Iterator[None]:
    """Turn whatever fails in a library's download, a silent host too, into UnavailableError."""
    timeout = socket.getdefaulttimeout()
    socket.setdefaulttimeout(HOST_TIMEOUT)  # the libraries set none and offer no parameter
    try:
        # A progress bar is on stderr and stays.
        with redirect_stdout(io.StringIO()), warnings.catch_warnings(action="ignore"):
            yield
    except Exception as error:
        reason = getattr(error, "reason", error)  # a URLError wraps the socket's error
        raise UnavailableError(
            one_line(str(getattr(reason, "strerror", None) or reason))
        ) from error
    finally:
        socket.setdefaulttimeout(timeout)


def one_line(text: str) -> str:
    return textwrap.shorten(" ".join(text.split()), 200, placeholder=" ...")


@contextmanager
def reading(path: Path) -> Iterator[None]:
    """Turn any error while `path` is read into a UserError of one line."""
    try:
        yield
    except FileNotFoundError as error:
        raise UserError(f"{path}: missing") from error
    except Exception as error:  # on a torn file decoders raise almost anything
        reason = " ".join(str(error).split()) or type(error).__name__
        if isinstance(error, OSError) and error.strerror:
            raise UserError(f"{path}: cannot be read: {error.strerror}") from error
        raise UserError(f"{path}: cut short or damaged ({reason})") from error


def first_folder_with(names: tuple[str, ...], *folders: Path) -> Path | None:
    """The first folder that holds any of the files: an incomplete layout is found, too."""
    return next((f for f in folders if any((f / name).is_file() for name in names)), None)
