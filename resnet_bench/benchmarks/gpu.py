"""`make bench-gpu`: the speed of the paper's sweep on this GPU, beside its limits and other loops.

In pieces of a few minutes each (`--seconds`), for machines that can be used for a short time only:
`--piece floors`, `yardsticks`, `roofline`, `ablation`, `lanes`, `sweep`. Tables are printed and
written as CSV into `--output`.
"""

import sys
from pathlib import Path
from typing import Annotated

import torch
import typer

from resnet_bench.benchmarks.interleaved import Contest
from resnet_bench.benchmarks.pieces import PIECES, Bench
from resnet_bench.benchmarks.yardsticks import synthetic_images
from resnet_bench.datasets.load import Images, load_dataset
from resnet_bench.errors import UserError
from resnet_bench.suites.suite import load_suite
from resnet_bench.sweeps.worker import environment_of_workers

SUITES = {"tf32": "cifar10", "bf16": "cifar10-bf16"}


def main(
    piece: Annotated[str, typer.Option(help=", ".join(PIECES))] = "yardsticks",
    precision: Annotated[str, typer.Option(help="tf32 or bf16")] = "tf32",
    output: Annotated[Path, typer.Option(help="folder of the CSVs")] = Path("results/bench-gpu"),
    data_dir: Annotated[Path | None, typer.Option(envvar="RESNET_BENCH_DATA")] = None,
    synthetic: Annotated[bool, typer.Option(help="random pixels instead of a data set")] = False,
    blocks: Annotated[int, typer.Option(min=1, help="interleaved, of each loop")] = 5,
    seconds: Annotated[float, typer.Option(min=1, help="of a piece, about")] = 400.0,
) -> None:
    """Measure one piece; exit code 2 without a CUDA GPU."""
    if piece not in PIECES or precision not in SUITES:
        message = f"--piece is one of {', '.join(PIECES)}; --precision tf32 or bf16"
        print(f"error: {message}", file=sys.stderr)
        raise typer.Exit(2)
    suite = SUITES[precision]
    contest = Contest(blocks, seconds)
    with environment_of_workers():  # is_available may start CUDA, which reads the environment
        if not torch.cuda.is_available():
            print("error: bench-gpu needs a CUDA GPU, and there is none here", file=sys.stderr)
            raise typer.Exit(2)
        images, real = _images(suite, data_dir, synthetic)
        bench = Bench(piece, suite, images, real, output, data_dir, contest)
        output.mkdir(parents=True, exist_ok=True)
        print(_facts(bench), flush=True)
        PIECES[piece](bench)


def _images(suite: str, folder: Path | None, synthetic: bool) -> tuple[tuple[Images, Images], bool]:
    """The data set and True, or random pixels in its shape and False."""
    dataset = load_suite(suite).dataset
    if not synthetic:
        try:
            return load_dataset(dataset, folder), True
        except UserError as error:
            print(f"{error}\n")
    return synthetic_images(dataset), False


def _facts(bench: Bench) -> str:
    """The GPU, the versions and the options that the measurements depend on."""
    pixels = "real pixels" if bench.real else "synthetic pixels (speed does not depend on values)"
    contest = bench.contest
    facts = [
        torch.cuda.get_device_name(),
        f"torch {torch.__version__}, CUDA {torch.version.cuda}",
        f"cuDNN {torch.backends.cudnn.version()}",
        f"suite {bench.suite}, precision {load_suite(bench.suite).recipe.precision}, {pixels}",
        f"piece {bench.piece}, {contest.blocks} blocks, about {contest.seconds:.0f} s in all",
    ]
    return "\n".join(facts)


if __name__ == "__main__":
    typer.run(main)
