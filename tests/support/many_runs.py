"""Time and memory of the analysis with many runs: `python -m tests.support.many_runs FOLDER SEEDS`.

Writes the paper's suite at so many seeds, sealed, with 164 records a run and no training behind
them: 834 seeds are 10,008 runs. CPU seconds, since a shared machine stretches the others.
"""

import resource
import subprocess
import sys
import time
from pathlib import Path

from tests.support.results import Options, write_suite

COMMANDS = {
    "status": ("resnet_bench", "status", "cifar10"),
    "verdict": ("analysis.verdict", "cifar10"),
    "report": ("analysis.report", "cifar10"),
    "figures": ("analysis", "cifar10"),
}


def main() -> None:
    results, seeds = Path(sys.argv[1]), int(sys.argv[2])
    if not (results / "cifar10").exists():
        write_suite(results, "cifar10", Options(seeds=tuple(range(seeds))))
    for name, (module, *arguments) in COMMANDS.items():
        before, started = resource.getrusage(resource.RUSAGE_CHILDREN), time.monotonic()
        command = [sys.executable, "-m", module, *arguments, "--results", str(results)]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
        peak = after.ru_maxrss / 2**20  # of the largest command so far
        print(f"{name:8} {time.monotonic() - started:7.1f} s {cpu:7.1f} s CPU {peak:5.2f} GiB")


if __name__ == "__main__":
    main()
