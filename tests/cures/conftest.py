"""The rows of a run without their times."""

from collections.abc import Callable
from typing import Any

import pytest

from resnet_bench.records.epochs import TIME_COLUMNS
from resnet_bench.records.run_directory import RunDirectory
from resnet_bench.suites.experiment import Run
from resnet_bench.sweeps.machine import Machine


@pytest.fixture
def without_times() -> Callable[[Run, Machine], list[dict[str, Any]]]:
    def rows(run: Run, machine: Machine) -> list[dict[str, Any]]:
        records = RunDirectory(run.directory(machine.results)).rows()
        return [{k: v for k, v in vars(r).items() if k not in TIME_COLUMNS} for r in records]

    return rows
