"""Folders of a checkout: suites, results, data."""

import os
from pathlib import Path

from resnet_bench.errors import UserError

ROOT = Path(__file__).resolve().parent.parent  # the repository
SUITES_FOLDER = ROOT / "experiments"
RESULTS = ROOT / "results"  # make's own folder
REFERENCE = RESULTS / "reference"  # the committed results


RESULTS_VARIABLE = "RESNET_BENCH_RESULTS"


def default_data_folder() -> Path:
    """The folder that RESNET_BENCH_DATA names, else data/ in the repository."""
    named = os.environ.get("RESNET_BENCH_DATA")
    return expanded(named) if named else ROOT / "data"


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
