"""Folders: of suites, results and data, in a checkout or where pip has installed the package."""

import os
from pathlib import Path

from platformdirs import user_cache_path

from resnet_bench.errors import UserError

ROOT = Path(__file__).resolve().parent.parent  # the repository, or pip's folder of packages
IN_CHECKOUT = (ROOT / "pyproject.toml").is_file()
SUITES_FOLDER = ROOT / "experiments"  # the shipped ones
RESULTS = ROOT / "results"  # make's own folder
REFERENCE = RESULTS / "reference"  # the committed results
RESULTS_VARIABLE = "RESNET_BENCH_RESULTS"


def suites_folder() -> Path:
    """That of the user's own suites, which RESNET_BENCH_SUITES names, else the shipped one."""
    named = os.environ.get("RESNET_BENCH_SUITES")
    return expanded(named) if named else SUITES_FOLDER


def default_data_folder() -> Path:
    """The folder that RESNET_BENCH_DATA names, else data/ in the repository or the user's cache."""
    if named := os.environ.get("RESNET_BENCH_DATA"):
        return expanded(named)
    return ROOT / "data" if IN_CHECKOUT else expanded(user_cache_path("resnet_bench"))


def expanded(path: str | Path) -> Path:
    """The path with ~ as the user's home; raises UserError if there is no home."""
    try:
        return Path(path).expanduser()
    except RuntimeError as error:
        raise UserError(f"{path}: no home folder is known; set HOME") from error


def make_folder(path: Path) -> None:
    """Make a folder and those above it, unless they exist; raises OSError, which says why not."""
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        for place in (path, *path.parents):
            if place.is_symlink() and not place.exists():
                raise OSError(error.errno, f"{place} is a link that leads nowhere") from error
            if place.is_file():
                raise OSError(error.errno, f"{place} is a file") from error
        raise
