"""A part that fails, crashes or hangs is a row; the others are done all the same."""

import os
import time
from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
import torch

from resnet_bench.commands import gpu_check
from resnet_bench.gpu.lockstep import LaneStep
from resnet_bench.gpu_check.parts import Part, run_parts
from resnet_bench.gpu_check.site import Site
from resnet_bench.gpu_check.speeds import fastest, milliseconds_a_step, sweep_minutes
from tests.support.calls import Call
from tests.support.recording import record_graph


def double(site: int) -> int:
    return 2 * site


def fail(site: int) -> None:
    raise ValueError("no kernel image\nis available")


def crash(site: int) -> None:
    os._exit(3)


def hang(site: int) -> None:
    time.sleep(600)


def test_what_happens_to_a_part_stays_with_it() -> None:
    works: list[Callable[[int], object]] = [double, hang, double, crash, fail, double]
    parts = [Part(work.__name__, work, 1 if work is hang else 60) for work in works]
    rows = list(run_parts(parts, 21, time.monotonic() + 600))
    assert [row.part for row in rows] == parts
    assert [(row.passed, row.found) for row in rows] == [
        (True, 42),
        (False, "no answer in 1 s"),
        (True, 42),
        (False, "its process ended"),
        (False, "ValueError: no kernel image"),
        (True, 42),
    ]


def test_nothing_begins_after_the_deadline(monkeypatch: pytest.MonkeyPatch) -> None:
    rows = list(run_parts([Part("double", double, 60)] * 2, 21, time.monotonic()))
    assert [(row.passed, row.found) for row in rows] == [(False, "no time was left")] * 2


def timed(site: object, precision: str, lanes: int, norm: str) -> float:
    return {("tf32", 1): 30.0, ("tf32", 3): 20.0, ("bf16", 1): 10.0}[precision, lanes]


def test_the_fastest_setting_is_chosen_and_said(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    kinds = [("tf32", 1), ("tf32", 3), ("bf16", 1)]
    parts = [Part("gate", str, 60)]
    parts += [
        Part("time", partial(timed, precision=p, lanes=n, norm="native"), 60) for p, n in kinds
    ]
    monkeypatch.setattr(gpu_check, "gates", lambda: parts[:1])
    monkeypatch.setattr(gpu_check, "gates_of_fused_norm", list)
    monkeypatch.setattr(gpu_check, "timings", lambda: parts[1:])
    found = gpu_check.check(Site(torch.device("cpu")), time.monotonic() + 600)
    assert found["fastest"]["tf32"]["lanes"] == 3
    assert found["fastest"]["bf16"] == {
        **{"precision": "bf16", "lanes": 1},
        **{"norm": "native", "milliseconds": 10.0},
    }
    assert [row["passed"] for row in found["checks"]] == [True] * 4
    output = capsys.readouterr().out
    assert "tf32: fastest with 3 lanes and batch norm by native" in output
    assert "the sweep of cifar10 will take about 24 minutes here" in output


def test_a_timing_that_fails_is_no_gate(monkeypatch: pytest.MonkeyPatch) -> None:
    for gate, timing, hold in ((double, fail, True), (fail, double, False)):
        monkeypatch.setattr(gpu_check, "gates", lambda gate=gate: [Part("gate", gate, 60)])
        monkeypatch.setattr(gpu_check, "gates_of_fused_norm", list)
        monkeypatch.setattr(gpu_check, "timings", lambda timing=timing: [Part("t", timing, 60)])
        found = gpu_check.check(21, time.monotonic() + 600)  # type: ignore[arg-type]
        assert found["gates_hold"] is hold
        assert [row["passed"] for row in found["checks"]] == [hold, not hold]


@pytest.mark.parametrize(("gate", "chosen"), [(str, "fused"), (fail, "native")])
def test_the_fused_norm_is_chosen_only_if_its_gates_hold(
    gate: Callable[[Any], object], chosen: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is the faster one; a GPU on which it fails is trusted with the others."""
    times = [
        Part("time", partial(timed, precision="tf32", lanes=n, norm=norm), 60)
        for n, norm in ((1, "native"), (3, "fused"))
    ]
    monkeypatch.setattr(gpu_check, "gates", lambda: [Part("gate", str, 60)])
    monkeypatch.setattr(gpu_check, "gates_of_fused_norm", lambda: [Part("fused", gate, 60)])
    monkeypatch.setattr(gpu_check, "timings", lambda: times)
    found = gpu_check.check(Site(torch.device("cpu")), time.monotonic() + 600)
    assert found["gates_hold"]
    assert found["fastest"]["tf32"]["norm"] == chosen


def test_a_speed_is_measured(monkeypatch: pytest.MonkeyPatch) -> None:
    from resnet_bench.gpu_check import speeds

    monkeypatch.setattr(speeds, "STEPS", 1)
    site = Site(torch.device("cpu"), "smoke", make_step=partial(LaneStep, capture=record_graph))
    assert milliseconds_a_step(site, "tf32", 3, "native") > 0
    assert fastest([]) == {}
    assert sweep_minutes("cifar10", 60.0) == pytest.approx(64 * 1.12)


def test_without_a_gpu_it_is_one_line(call: Call, tmp_path: object) -> None:
    if torch.cuda.is_available():
        pytest.skip("there is a CUDA device")
    answer = call("gpu-check", "--results", str(tmp_path))
    assert (answer.code, answer.errors) == (
        2,
        "error: gpu-check needs a CUDA GPU, and there is none here\n",
    )
