"""Finished and partial runs, of which each test gets a copy."""

from pathlib import Path

import pytest

from resnet_bench.records.run_directory import RunDirectory
from resnet_bench.sweeps.group import run_group
from resnet_bench.sweeps.machine import Machine
from tests.support.evidence import OTHERS, RUN, copied
from tests.support.runs_on_disk import stop_at


@pytest.fixture(scope="module")
def trained(few_images: None, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Results with `RUN` and `OTHERS`, finished."""
    results = tmp_path_factory.mktemp("trained")
    for run in (RUN, *OTHERS.values()):
        run_group([run], Machine(results, "cpu"))
    return results


@pytest.fixture(scope="module")
def begun(few_images: None, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same results, stopped at iteration 3; there are two checkpoints."""
    results = tmp_path_factory.mktemp("begun")
    for run in (RUN, *OTHERS.values()):
        run_group([run], Machine(results, "cpu", checkpoint_seconds=0.0), stop_at(3))
    return results


@pytest.fixture
def finished(trained: Path, tmp_path: Path) -> RunDirectory:
    """`RUN` in results of the test's own."""
    return copied(trained, tmp_path)


@pytest.fixture
def partial(begun: Path, tmp_path: Path) -> RunDirectory:
    return copied(begun, tmp_path)
