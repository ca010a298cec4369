"""The pieces of `make bench-gpu`: what each measures, and the table that it writes."""

from dataclasses import dataclass
from pathlib import Path

import pandas as pd
import torch

from resnet_bench.benchmarks.interleaved import (
    Contender,
    Contest,
    Timed,
    contest_table,
    table_text,
)
from resnet_bench.benchmarks.peers import Peers
from resnet_bench.benchmarks.roofline import (
    FORMULA,
    PRECISIONS,
    Work,
    floor_seconds,
    measure_ceilings,
    roofline,
    work_of,
)
from resnet_bench.benchmarks.whole_sweep import TimedSweep
from resnet_bench.benchmarks.yardsticks import Lockstep, OneByOne, Setting
from resnet_bench.datasets.load import Images
from resnet_bench.suites.suite import load_suite

CUDA = torch.device("cuda")
OURS, AGAIN = "ours", "ours, again (noise)"

# The time of a step in TF32 relative to ours, predicted before any measurement.
PREDICTED = {
    OURS: 1.0,
    AGAIN: 1.0,
    "B0 as peers do it": 15.0,
    "B1 simple loop, one network at a time": 9.0,
    "B2 our graphs, one after another": 1.7,
    "ours, not deterministic": 0.95,
    "without graphs": 9.0,
    "without lanes": 1.7,
    "without channels_last": 1.5,
    "without data on the GPU": 1.1,
    "with bf16": 0.55,
    "with PyTorch's batch norm": 0.95,
    "with the fused norm": 0.7,
    "2 lanes": 1.3,
    "4 lanes": 1.1,
    "6 lanes": 1.05,
    "12 lanes": 1.0,
}


@dataclass(frozen=True)
class Bench:
    """One call of the benchmark: the piece, its images, and where its table is written."""

    piece: str
    suite: str
    images: tuple[Images, Images]
    real: bool  # whether the images are the data set's
    output: Path
    data_folder: Path | None
    contest: Contest

    @property
    def setting(self) -> Setting:
        return Setting(load_suite(self.suite).experiments, self.images, CUDA)

    @property
    def work(self) -> Work:
        return work_of(load_suite(self.suite).experiments)

    def write(self, table: pd.DataFrame) -> None:
        """Print the table and write it as CSV."""
        path = self.output / f"{self.piece}-{self.suite}.csv"
        print("\n" + table_text(table))
        table.to_csv(path)
        print(f"({path})", flush=True)


def measure_floors(bench: Bench) -> None:
    """The GPU's measured ceilings, and the least time of the suite's sweep under them."""
    ceilings = measure_ceilings(CUDA)
    recipe = load_suite(bench.suite).recipe
    images = recipe.batch_size * recipe.iterations
    print(FORMULA)
    print(
        f"{bench.suite}: {bench.work.multiply_adds / 1e9:.2f} G multiply-adds an image, "
        f"{bench.work.flop(images) / 1e15:.1f} PFLOP in all"
    )
    rows = {}
    for precision in PRECISIONS:
        flops = ceilings.flops[precision]
        eager, fused = (
            bench.work.bytes(images, precision, fused=fused) / ceilings.bandwidth / 60
            for fused in (False, True)
        )
        arithmetic = bench.work.flop(images) / flops / 60
        rows[precision] = {
            "TFLOP/s": flops / 1e12,
            "arithmetic, min": arithmetic,
            "memory, min": eager,
            "fused, min": fused,
            "floor, min": max(arithmetic, eager),
        }
    print(f"copy bandwidth, both directions: {ceilings.bandwidth / 1e12:.2f} TB/s")
    bench.write(pd.DataFrame.from_dict(rows, orient="index").rename_axis("precision"))


def measure_yardsticks(bench: Bench) -> None:
    """B0, B1, B2 and ours on the same images, interleaved."""
    ceilings = measure_ceilings(CUDA)
    setting = bench.setting
    contenders: list[Contender] = [
        Lockstep(OURS, setting),
        Lockstep(AGAIN, setting),
        Lockstep("ours, not deterministic", setting, deterministic=False),
        Lockstep("B2 our graphs, one after another", setting, lanes=1),
        OneByOne(setting),
        Peers(setting),
    ]
    timed = bench.contest.run(contenders)
    _report(bench, timed)
    recipe = setting.experiments[0].recipe
    floor = floor_seconds(bench.work, recipe.batch_size, recipe.precision, ceilings)
    print(FORMULA)
    share = floor / timed[OURS].median
    print(f"floor {floor * 1e3:.2f} ms a step, ours at {share:.0%} of the limit")
    cost = 1 / timed["ours, not deterministic"].ratio(timed[OURS]) - 1
    print(f"the deterministic mode costs {cost:+.1%} of the time of a step")


def measure_roofline(bench: Bench) -> None:
    """Separate and fused norms: the bytes that a step moves, its floor, its measured time."""
    setting, ceilings = bench.setting, measure_ceilings(CUDA)
    timed = bench.contest.run(
        [Lockstep("separate", setting), Lockstep("fused", setting, norm="fused")]
    )
    measured = {name: times.median for name, times in timed.items()}
    images = setting.experiments[0].recipe.batch_size
    print(FORMULA)
    bench.write(roofline(bench.work, images, setting.precision, ceilings, measured))


def measure_ablation(bench: Bench) -> None:
    """Ours, with one feature removed or added at a time."""
    setting = bench.setting
    ours = Lockstep(OURS, setting)
    lanes = len(ours.step.lanes)  # without graphs the default is one
    contenders = [
        ours,
        Lockstep(AGAIN, setting),
        Lockstep("without lanes", setting, lanes=1),
        Lockstep("without graphs", setting, lanes=lanes, graphs=False),
        Lockstep("without channels_last", setting, channels_last=False),
        Lockstep("without data on the GPU", setting, data_on_gpu=False),
        Lockstep("with PyTorch's batch norm", setting, norm="native"),
        Lockstep("with the fused norm", setting, norm="fused"),
        Lockstep("ours, not deterministic", setting, deterministic=False),
    ]
    if setting.precision != "bf16":
        contenders.append(Lockstep("with bf16", setting, precision="bf16"))
    _report(bench, bench.contest.run(contenders))


def measure_lanes(bench: Bench) -> None:
    """Numbers of networks trained at the same time: more fill the GPU but share its cache."""
    setting = bench.setting
    contenders = [Lockstep(OURS, setting), Lockstep(AGAIN, setting)]
    contenders += [Lockstep(f"{n} lanes", setting, lanes=n) for n in (2, 4, 6, 12)]
    contenders.append(Lockstep("without lanes", setting, lanes=1))
    print(f"ours has {len(contenders[0].step.lanes)} lanes")
    _report(bench, bench.contest.run(contenders))


def measure_sweep(bench: Bench) -> None:
    """Wall time of the whole sweep, which repeated calls continue."""
    synthetic = None if bench.real else bench.images
    TimedSweep(
        bench.suite, bench.output, bench.data_folder, synthetic, bench.contest.seconds / 60
    ).run()


def _report(bench: Bench, timed: dict[str, Timed]) -> None:
    experiments = load_suite(bench.suite).experiments
    images = len(experiments) * experiments[0].recipe.batch_size
    bench.write(contest_table(timed, images, PREDICTED))


PIECES = {
    "floors": measure_floors,
    "yardsticks": measure_yardsticks,
    "roofline": measure_roofline,
    "ablation": measure_ablation,
    "lanes": measure_lanes,
    "sweep": measure_sweep,
}
