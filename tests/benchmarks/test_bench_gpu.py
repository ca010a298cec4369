"""The GPU benchmark without a GPU: its formulas, its loops on tiny networks, its tables."""

import csv
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import ClassVar

import numpy as np
import pytest
import torch

from resnet_bench.benchmarks import pieces
from resnet_bench.benchmarks.interleaved import (
    Contest,
    Timed,
    contest_table,
    table_text,
)
from resnet_bench.benchmarks.peers import PeerImages, Peers
from resnet_bench.benchmarks.pieces import AGAIN, OURS, PREDICTED
from resnet_bench.benchmarks.roofline import (
    Ceilings,
    floor_seconds,
    network_work,
    roofline,
    work_of,
)
from resnet_bench.benchmarks.whole_sweep import TimedSweep
from resnet_bench.benchmarks.yardsticks import (
    Lockstep,
    OneByOne,
    Setting,
    synthetic_images,
)
from resnet_bench.datasets.definitions import DATASETS
from resnet_bench.gpu.norms import NativeBatchNorm
from resnet_bench.suites.experiment import Experiment
from resnet_bench.suites.network import NetworkSpec, Shortcut
from resnet_bench.suites.recipe import Recipe
from resnet_bench.suites.suite import load_suite
from resnet_bench.training.state import new_state

ROOT = Path(__file__).parents[2]
CPU = torch.device("cpu")


def test_the_floors_of_the_papers_sweep() -> None:
    """The numbers computed by hand beforehand, at 4.3 TB/s."""
    suite = load_suite("cifar10")
    work = work_of(suite.experiments)
    images = suite.recipe.batch_size * suite.recipe.iterations
    assert work.multiply_adds / 1e9 == pytest.approx(2.99, abs=0.005)
    assert work.flop(images) / 1e15 == pytest.approx(48.9, abs=0.05)

    def minutes(precision: str, fused: bool) -> float:
        count = work.bytes(images, precision, fused=fused)  # type: ignore[arg-type]
        return count / 4.3e12 / 60

    assert minutes("ieee", False) == minutes("tf32", False) == pytest.approx(11.6, abs=0.05)
    assert minutes("tf32", True) == pytest.approx(8.8, abs=0.05)
    assert minutes("bf16", False) == pytest.approx(5.8, abs=0.05)
    assert minutes("bf16", True) == pytest.approx(4.4, abs=0.05)


def test_the_floor_is_the_larger_of_arithmetic_and_memory() -> None:
    work = work_of(load_suite("cifar10").experiments[:1])
    fast = Ceilings(bandwidth=1e12, flops={"tf32": 1e30})
    slow = Ceilings(bandwidth=1e30, flops={"tf32": 1e12})
    assert floor_seconds(work, 128, "tf32", fast) == work.bytes(128, "tf32") / 1e12
    assert floor_seconds(work, 128, "tf32", slow) == work.flop(128) / 1e12


def test_the_roofline_of_separate_and_fused_norms() -> None:
    work = work_of(load_suite("cifar10").experiments)
    ceilings = Ceilings(bandwidth=1e12, flops={"tf32": 1e30})
    table = roofline(work, 128, "tf32", ceilings, {"separate": 0.1, "fused": 0.05})
    assert list(table["GB a step, counted"]) == pytest.approx([46.7, 35.6], abs=0.05)
    assert list(table["floor, ms"]) == pytest.approx([46.7, 35.6], abs=0.05)
    assert list(table["of the limit"]) == pytest.approx([0.467, 0.712], abs=0.001)


@pytest.mark.parametrize(
    ("shortcut", "projected", "added"),
    [("none", 0, 0), ("A", 0, 1792), ("B", 512 + 256, 1792), ("C", 1792, 1792)],
)
def test_passes_by_hand(shortcut: Shortcut, projected: int, added: int) -> None:
    """Depth 8 on 8x8 maps: outputs of 1024, 512 and 256 numbers; one block a stage."""
    dataset = replace(DATASETS["cifar10"], side=8)
    work = network_work(NetworkSpec(depth=8, shortcut=shortcut), dataset)
    maps = 3 * 1024 + 2 * 512 + 2 * 256
    assert work.eager_passes == 19 * maps + 14 * projected + 6 * added
    assert work.fused_passes == 14 * (maps + projected) + 6 * added


class Clock:
    """A contender whose times are known: it moves the clock by `seconds` a step."""

    clock: ClassVar = [0.0]

    def __init__(self, name: str, seconds: float) -> None:
        self.name, self.seconds = name, seconds
        self.calls: list[int] = []

    def train(self, steps: int) -> None:
        self.calls.append(steps)
        self.clock[0] += steps * self.seconds


def test_contenders_take_turns_and_the_warm_up_is_not_counted(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(time, "perf_counter", lambda: Clock.clock[0])
    ours, slow = Clock(OURS, 0.01), Clock("slow", 0.05)
    before = Clock.clock[0]
    timed = Contest(blocks=3, seconds=66).run([ours, slow])
    assert ours.calls == [2, 3] + [100, 1000] * 3
    assert slow.calls == [2, 3] + [20, 200] * 3
    assert Clock.clock[0] - before == pytest.approx(66, rel=0.01)
    assert timed["slow"].seconds == pytest.approx([0.05] * 3)
    assert timed["slow"].ratio(timed[OURS]) == pytest.approx(5)


def test_the_ratio_is_taken_within_blocks() -> None:
    """A machine that slows down for all by half does not move it."""
    assert Timed([2.0, 4.0, 8.0]).ratio(Timed([1.0, 2.0, 4.0])) == 2.0


def test_tables_and_csv(tmp_path: Path) -> None:
    timed = {OURS: Timed([0.01, 0.012, 0.011]), AGAIN: Timed([0.011, 0.012, 0.011], 7.5)}
    table = contest_table(timed, 1536, PREDICTED)
    row = table.loc[OURS]
    assert (row["ms a step"], row["from - to"]) == (pytest.approx(11.0), "10.00 - 12.00")
    assert (row["images/s"], row["time / ours"]) == (pytest.approx(1536 / 0.011), 1.0)
    assert (row["predicted"], row["blocks"]) == (1.0, 3)
    text = table_text(table).splitlines()
    assert text[0].startswith("loop")
    assert text[1].startswith(f"{OURS} ")
    assert "139,636" in text[1]
    assert text[1].endswith("-")
    assert text[2].endswith("7.50")
    assert "GPU GiB" not in table_text(table[:1])  # nothing is known of it
    table.to_csv(tmp_path / "x.csv")
    with (tmp_path / "x.csv").open(newline="") as file:
        found = list(csv.DictReader(file))
    assert found[1]["loop"] == AGAIN
    assert found[0]["GPU GiB"] == ""


@pytest.fixture
def setting() -> Setting:
    """Two networks of 8 layers on random 8x8 images, in batches of 16."""
    dataset = replace(DATASETS["cifar10"], side=8, train_images=40, test_images=4)
    recipe = Recipe(iterations=100, batch_size=16, padding=1, precision="ieee")
    networks = [NetworkSpec(depth=8, shortcut=shortcut) for shortcut in ("none", "B")]
    experiments = [Experiment("s", n.name, dataset, n, recipe) for n in networks]
    return Setting(tuple(experiments), synthetic_images(dataset), CPU)


def test_the_loops_train_all_networks(setting: Setting) -> None:
    lockstep = Lockstep(OURS, setting, graphs=False)
    nchw = Lockstep("nchw", setting, graphs=False, channels_last=False, norm="native")
    one_by_one, peers = OneByOne(setting), Peers(setting, workers=0)
    for contender in (lockstep, nchw, one_by_one, peers):
        contender.train(3)
    for state in (*lockstep.states, *nchw.states, *one_by_one.states):
        assert state.iteration == 3
        assert int(state.totals.steps) == 3
    for ours, same in zip(lockstep.states, one_by_one.states, strict=True):
        pairs = zip(ours.network.parameters(), same.network.parameters(), strict=True)
        for mine, theirs in pairs:  # the same batches; rates of float32 and float64
            torch.testing.assert_close(mine, theirs)
    assert nchw.states[0].network.state_dict()["conv.weight"].is_contiguous()
    norms = [m for m in nchw.states[0].network.modules() if isinstance(m, torch.nn.BatchNorm2d)]
    assert {type(norm) for norm in norms} == {NativeBatchNorm}


def test_another_precision_is_the_members_own(setting: Setting) -> None:
    assert {state.recipe.precision for state in setting.states()} == {"ieee"}
    assert {state.recipe.precision for state in setting.states("bf16")} == {"bf16"}
    lockstep = Lockstep("bf16", setting, graphs=False, precision="bf16")
    assert {state.recipe.precision for state in lockstep.states} == {"bf16"}
    weights = [new_state(m.run, CPU).network.state_dict() for m in setting.states("bf16")]
    for ours, weight in zip(setting.states(), weights, strict=True):
        for name, tensor in ours.network.state_dict().items():
            assert torch.equal(tensor, weight[name])


def test_peers_crop_flip_and_normalize_an_image_at_a_time(setting: Setting) -> None:
    images = PeerImages(setting.images[0], padding=1)
    assert len(images) == 40
    items = [images[5] for _ in range(30)]
    assert {label for _, label in items} == {int(setting.images[0].labels[5])}
    assert items[0][0].shape == (3, 8, 8)
    assert items[0][0].dtype == torch.float32
    different = torch.unique(torch.stack([image for image, _ in items]), dim=0)
    assert 1 < len(different) <= 18  # nine crops, flipped or not


def test_synthetic_images_have_the_shape_of_the_real_ones() -> None:
    dataset = replace(DATASETS["cifar10"], train_images=7, test_images=3)
    train, test = synthetic_images(dataset)
    assert train.pixels.shape == (7, 3, 32, 32)
    assert test.labels.shape == (3,)
    assert train.pixels.dtype == train.labels.dtype == np.uint8
    assert train.labels.max() < 10


def test_predictions_cover_every_loop_of_the_tables() -> None:
    source = Path(pieces.__file__).read_text()
    removed = ("without lanes", "without graphs", "ours, not deterministic")
    for name in (*removed, "with bf16", "with the fused norm"):
        assert source.count(f'"{name}"') >= 2  # predicted, and measured
        assert name in PREDICTED
    assert {Peers.name, OneByOne.name, OURS, AGAIN} <= PREDICTED.keys()


def test_a_whole_sweep_adds_up_over_its_calls(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    codes = iter([(75, 3.5), (0, 3.5)])
    monkeypatch.setattr(TimedSweep, "_synthetic", lambda *_: next(codes))
    images = synthetic_images(replace(DATASETS["cifar10"], train_images=2, test_images=1))
    timed = TimedSweep("cifar10", tmp_path, None, images, 1.0)
    timed.run()
    assert "stopped in time; call again to continue" in capsys.readouterr().out
    timed.run()
    assert "wall time in 2 calls; ended with code 0" in capsys.readouterr().out
    rows = (tmp_path / "sweep-cifar10.csv").read_text().splitlines()
    assert rows[0] == "started,pixels,seconds,exit code,GPU GiB"
    assert [row.split(",")[3] for row in rows[1:]] == ["75", "0"]


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a CUDA device")
@pytest.mark.parametrize(
    ("arguments", "message"),
    [([], "needs a CUDA GPU"), (["--piece", "cake"], "--piece is one of floors, yardsticks")],
)
def test_without_a_gpu_it_says_so_in_one_line(arguments: list[str], message: str) -> None:
    command = [sys.executable, "-m", "resnet_bench.benchmarks.gpu", *arguments]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 2
    lines = done.stderr.splitlines()
    assert message in lines[-1]
    assert not [line for line in lines[:-1] if "cpp_extension" not in line]  # CUDA's PyTorch warns
    assert done.stdout == ""
