"""Folders: of suites, results and data, in a checkout or where pip has installed the package."""

import os
from pathlib import Path

from platformdirs import user_cache_path

ROOT = Path(__file__).resolve().parent.parent  # the repository, or pip's folder of packages
IN_CHECKOUT = (ROOT / "pyproject.toml").is_file()
SUITES_FOLDER = ROOT / "experiments"  # the shipped ones
RESULTS = ROOT / "results"  # make's own folder
REFERENCE = RESULTS / "reference"  # the committed results


def suites_folder() -> Path:
    """That of the user's own suites, which RESNET_BENCH_SUITES names, else the shipped one."""
    named = os.environ.get("RESNET_BENCH_SUITES")
    return Path(named).expanduser() if named else SUITES_FOLDER


def default_data_folder() -> Path:
    """The folder that RESNET_BENCH_DATA names, else data/ in the repository or the user's cache."""
    if named := os.environ.get("RESNET_BENCH_DATA"):
        return Path(named).expanduser()
    return ROOT / "data" if IN_CHECKOUT else user_cache_path("resnet_bench")
