"""Folders of a checkout: suites, results, data."""

import os
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent  # the repository
SUITES_FOLDER = ROOT / "experiments"
RESULTS = ROOT / "results"  # make's own folder
REFERENCE = RESULTS / "reference"  # the committed results


def default_data_folder() -> Path:
    """The folder that RESNET_BENCH_DATA names, else data/ in the repository."""
    named = os.environ.get("RESNET_BENCH_DATA")
    return Path(named).expanduser() if named else ROOT / "data"
