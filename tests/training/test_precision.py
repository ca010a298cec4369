"""The device and precision that a run is executed with."""

from dataclasses import replace

import pytest
import torch

from resnet_bench.errors import UserError
from resnet_bench.suites.experiment import Run
from resnet_bench.sweeps import machine as sweeps_machine
from resnet_bench.sweeps import sweep
from resnet_bench.sweeps.machine import Machine
from resnet_bench.training.precision import (
    as_float64,
    autocast,
    executed_precision,
    find_device,
    float64_device,
)
from resnet_bench.training.state import Totals
from tests.support.states import CPU


def test_precision_is_what_the_device_can_do() -> None:
    assert executed_precision("tf32", CPU) == "ieee"
    assert executed_precision("bf16", CPU) == "bf16"
    assert executed_precision("tf32", torch.device("cuda")) == "tf32"
    layer = torch.nn.Linear(2, 2)
    with autocast("bf16", CPU):
        assert layer(torch.ones(1, 2)).dtype == torch.bfloat16
    with autocast("ieee", CPU):
        assert layer(torch.ones(1, 2)).dtype == torch.float32


@pytest.mark.parametrize("name", ["cuda:99", "tpu", "mps", "cud", "cpu:1"])
def test_a_device_that_is_not_there(name: str) -> None:
    with pytest.raises(UserError, match=name):
        find_device(name)


@pytest.mark.parametrize(
    ("driver", "build", "visible", "said"),
    [
        (False, None, None, ""),
        (True, None, None, f"PyTorch {torch.__version__} is a build without CUDA"),
        (True, "13.0", None, "its driver fits CUDA 13.0"),
        (True, "13.0", "", ""),  # hidden on purpose
    ],
)
def test_a_gpu_that_pytorch_cannot_use_is_no_secret(
    monkeypatch: pytest.MonkeyPatch, driver: bool, build: str | None, visible: str | None, said: str
) -> None:
    monkeypatch.setattr(sweeps_machine, "has_nvidia_driver", lambda: driver)
    monkeypatch.setattr(torch.version, "cuda", build)
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    if visible is not None:
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible)
    assert said in sweeps_machine.why_no_gpu()
    assert bool(sweeps_machine.why_no_gpu()) == bool(said)


def test_it_is_said_before_a_sweep_that_was_not_told_to_use_the_cpu(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    runs: list[Run],
    machine: Machine,
) -> None:
    class NoPool:
        def __init__(self, *_: object) -> None: ...

        def run(self) -> None: ...

    monkeypatch.setattr(sweep, "Pool", NoPool)
    monkeypatch.setattr(sweep, "find_devices", lambda _: ["cpu"])
    monkeypatch.setattr(sweep, "why_no_gpu", lambda: "because")
    sweep.sweep(runs, machine)
    assert "because" not in capsys.readouterr().err
    sweep.sweep(runs, replace(machine, device=None))
    assert "because\n" in capsys.readouterr().err


def test_a_wrong_device_is_said_before_anything_is_fetched(
    monkeypatch: pytest.MonkeyPatch, runs: list[Run], machine: Machine
) -> None:
    def fetch(*_: object) -> None:
        raise AssertionError("fetched")

    monkeypatch.setattr(sweep, "load_dataset", fetch)
    with pytest.raises(UserError, match="tpu"):
        sweep.sweep(runs, replace(machine, device="tpu"))
    with pytest.raises(UserError, match="need a CUDA device"):
        sweep.sweep(runs, replace(machine, lanes=2))


def test_a_device_without_float64_sums_up_on_the_cpu(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: True)
    apple = find_device("mps")
    assert float64_device(apple) == CPU
    assert float64_device(torch.device("cuda:1")) == torch.device("cuda:1")
    assert Totals.zeros(apple).loss.device == CPU
    assert as_float64(torch.ones(2)).dtype == torch.float64
    assert executed_precision("tf32", apple) == "ieee"
