"""A part that fails, crashes or hangs is a row; the others are done all the same."""

import os
import time
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import pytest
import torch

from resnet_bench.benchmarks import yardsticks
from resnet_bench.commands import gpu_check
from resnet_bench.gpu.lockstep import LaneStep
from resnet_bench.gpu.setting import SPEEDUPS
from resnet_bench.gpu_check import plan, speeds
from resnet_bench.gpu_check.parts import Part, run_parts
from resnet_bench.gpu_check.site import Site
from resnet_bench.gpu_check.speeds import fastest, sweep_minutes
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


STEPS = {("tf32", 1): 30.0, ("tf32", 3): 20.0, ("bf16", 1): 10.0}
FASTER = {"ring": 1.0, "casts": 2.0, "evaluation": 50.0}


def timed(
    site: object,
    precision: str,
    lanes: int,
    norm: str,
    speedups: Sequence[str] = (),
    work: str = "step",
) -> float:
    whole = STEPS[precision, lanes] if work == "step" else 100.0
    return whole - sum(FASTER[speedup] for speedup in speedups)


def checked(
    monkeypatch: pytest.MonkeyPatch,
    timings: Sequence[Part],
    gate: Part = Part("gate", str, 60),  # noqa: B008
    fused: Callable[[Any], object] = str,
    speedups: Sequence[Callable[[Any], object]] = (fail, fail, fail, fail),
) -> dict[str, Any]:
    """What gpu-check finds with these gates, of each speedup and of all together, and timings."""
    monkeypatch.setattr(plan, "gates", lambda: [gate])
    monkeypatch.setattr(plan, "gates_of_fused_norm", lambda: [Part("fused", fused, 60)])
    names = (*SPEEDUPS, "all")
    parts = [Part(name, work, 60) for name, work in zip(names, speedups, strict=True)]
    monkeypatch.setattr(plan, "gates_of_speedups", lambda: parts)
    monkeypatch.setattr(plan, "timings", lambda: timings)
    monkeypatch.setattr(plan, "milliseconds", timed)
    return gpu_check.check(Site(torch.device("cpu")), time.monotonic() + 600)


def timing(precision: str, lanes: int, norm: str = "native") -> Part:
    return Part("time", partial(timed, precision=precision, lanes=lanes, norm=norm), 60)


def test_the_fastest_setting_is_chosen_and_said(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    timings = [timing("tf32", 1), timing("tf32", 3), timing("bf16", 1)]
    found = checked(monkeypatch, timings)
    assert found["fastest"]["tf32"]["lanes"] == 3
    assert found["fastest"]["bf16"] == {
        **{"precision": "bf16", "lanes": 1, "norm": "native"},
        **{"speedups": [], "work": "step", "milliseconds": 10.0},
    }
    assert [row["passed"] for row in found["checks"]] == [True] * 2 + [False] * 4 + [True] * 3
    output = capsys.readouterr().out
    assert "tf32: fastest with 3 lanes, batch norm by native; the sweep" in output
    assert "the sweep of cifar10 will take about 26 minutes here" in output


def test_a_gate_that_fails_and_a_timing_that_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    """Only the first is one."""
    for gate, time_it, hold in ((str, fail, True), (fail, double, False)):
        found = checked(monkeypatch, [Part("t", time_it, 60)], Part("gate", gate, 60))
        assert found["gates_hold"] is hold


@pytest.mark.parametrize(("fused", "chosen"), [(str, "fused"), (fail, "native")])
def test_the_fused_norm_is_chosen_only_if_its_gates_hold(
    fused: Callable[[Any], object], chosen: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is the faster one; a GPU on which it fails is trusted with the others."""
    timings = [timing("tf32", 1, "native"), timing("tf32", 3, "fused")]
    found = checked(monkeypatch, timings, fused=fused)
    assert found["gates_hold"]
    assert found["fastest"]["tf32"]["norm"] == chosen


@pytest.mark.parametrize(
    ("gates", "tf32", "bf16"),
    [
        ((str, str, str, str), ["ring", "evaluation"], ["ring", "casts", "evaluation"]),
        ((fail, str, str, str), ["evaluation"], ["casts", "evaluation"]),
        ((str, fail, fail, str), ["ring"], ["ring"]),
        ((str, str, str, fail), [], []),
    ],
)
def test_a_speedup_is_chosen_only_if_its_gate_and_the_common_one_hold(
    gates: Sequence[Callable[[Any], object]],
    tf32: list[str],
    bf16: list[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """In float32 nothing is cast; a GPU on which a speedup fails is trusted without it."""
    found = checked(monkeypatch, [timing("tf32", 3), timing("bf16", 1)], speedups=gates)
    assert found["gates_hold"]
    assert found["fastest"]["tf32"]["speedups"] == tf32
    assert found["fastest"]["bf16"]["speedups"] == bf16
    assert found["fastest"]["bf16"]["milliseconds"] == 10.0 - sum(
        FASTER[speedup] for speedup in bf16 if speedup != "evaluation"
    )


def test_speedups_are_tried_in_both_precisions() -> None:
    *each, together = (part.work.keywords for part in plan.gates_of_speedups())  # type: ignore[attr-defined]
    assert [gate["speedups"] for gate in each] == [(speedup,) for speedup in SPEEDUPS]
    assert {gate["precision"] for gate in each} == {"bf16"}
    assert (together["speedups"], together["precision"]) == (SPEEDUPS, "tf32")


def test_a_speedup_that_is_slower_is_not_chosen(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tests.gpu_check.test_parts.FASTER", dict.fromkeys(SPEEDUPS, -1.0))
    timings = plan.timings_with(list(SPEEDUPS), {"precision": "tf32", "lanes": 3, "norm": "native"})
    names = ["tf32, 3 lanes, native, ring", "tf32, 3 lanes, native, test images"]
    assert [part.name for part in timings] == [*names, f"{names[0][:-6]}, evaluation, test images"]
    rows = [
        {"work": "step", "speedups": ()} | part.work.keywords | {"milliseconds": timed(0, **k)}  # type: ignore[attr-defined]
        for part in [timing("tf32", 3), *timings]
        for k in [part.work.keywords]  # type: ignore[attr-defined]
    ]
    assert fastest(rows)["tf32"]["speedups"] == []


@pytest.mark.parametrize("work", ["step", "evaluation"])
def test_a_speed_is_measured(work: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """In the precision that it is of, whatever this process computed in before."""
    monkeypatch.setattr(speeds, "STEPS", 1)
    in_precision = []
    monkeypatch.setattr(yardsticks, "set_precision", lambda name, _: in_precision.append(name))
    site = Site(torch.device("cpu"), "smoke", make_step=partial(LaneStep, capture=record_graph))
    assert speeds.milliseconds(site, "bf16", 3, "native", SPEEDUPS, work) > 0
    assert set(in_precision) == {"bf16"}
    assert fastest([]) == {}
    assert sweep_minutes("cifar10", 60.0) == pytest.approx(64 * 1.2)


def test_without_a_gpu_it_is_one_line(call: Call, tmp_path: object) -> None:
    if torch.cuda.is_available():
        pytest.skip("there is a CUDA device")
    answer = call("gpu-check", "--results", str(tmp_path))
    assert (answer.code, answer.errors) == (
        2,
        "error: gpu-check needs a CUDA GPU, and there is none here\n",
    )
