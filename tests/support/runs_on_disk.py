"""Runs on disk, compared bit for bit."""

from collections.abc import Callable, Sequence
from typing import Any

import torch

from resnet_bench.records.run_directory import RunDirectory
from resnet_bench.suites.experiment import Run
from resnet_bench.sweeps.machine import Machine
from resnet_bench.sweeps.progress import Progress
from tests.support.states import without_times


def result(run: Run, machine: Machine) -> tuple[list[dict[str, Any]], dict[str, torch.Tensor]]:
    """The rows of a run without their times, and its weights and its optimizer's memory."""
    directory = RunDirectory(run.directory(machine.results))
    rows = [without_times(record) for record in directory.rows()]
    state = torch.load(directory.checkpoint, weights_only=True)
    return rows, state["network"] | {
        f"{key} {index}": value
        for index, slot in state["optimizer"]["state"].items()
        for key, value in slot.items()
        if isinstance(value, torch.Tensor)
    }


def assert_same(run: Run, machine: Machine, other: Machine) -> None:
    (rows, tensors), (expected_rows, expected) = result(run, machine), result(run, other)
    assert rows == expected_rows
    assert tensors.keys() == expected.keys()
    assert all(torch.equal(tensors[name], expected[name]) for name in expected)


def stop_at(iteration: int) -> Callable[[Sequence[Progress]], bool]:
    return lambda progresses: all(p.iteration < iteration for p in progresses)
