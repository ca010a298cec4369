"""The command that fetches and verifies a data set."""

import typer

from resnet_bench.commands.options import DataFolder
from resnet_bench.datasets.definitions import DATASETS
from resnet_bench.errors import UserError, did_you_mean


def data(dataset: str, data_dir: DataFolder = None) -> None:
    """Fetch a data set, if need be, and verify it."""
    from resnet_bench.datasets.load import load_dataset

    if dataset not in DATASETS:
        raise UserError(f"unknown data set {dataset!r}{did_you_mean(dataset, DATASETS)}")
    train, test = load_dataset(DATASETS[dataset], data_dir)
    typer.echo(
        f"{dataset}: {len(train.labels)} training and {len(test.labels)} test images, verified"
    )
