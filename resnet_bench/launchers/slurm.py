"""A sweep as an array of jobs for Slurm, a seed a job: the text of a script for sbatch."""

import math
import shlex
import sys
from collections.abc import Sequence
from itertools import groupby
from pathlib import Path

from resnet_bench.tracking.environment import JOB

LIMIT = "4h"  # of an attempt, if none is given: most clusters allow that
CORES = 4  # of a job, if nothing says how many
MARGIN = 10  # minutes for what a sweep finishes after its limit: evaluation, checkpoint, W&B

SCRIPT = """#!/bin/bash
# A job for each seed of {suite}. Options of sbatch win over these lines:
#   sbatch --partition=gpu --account=mine THIS_FILE
#SBATCH --job-name={name}
#SBATCH --array={array}
{gpu}#SBATCH --cpus-per-task={cores}
#SBATCH --time={minutes}
#SBATCH --requeue
#SBATCH --open-mode=append
cd {folder} || exit
export {job}="slurm-$SLURM_ARRAY_JOB_ID"
code=0
{command} \\
  --seeds "$SLURM_ARRAY_TASK_ID-$SLURM_ARRAY_TASK_ID" --workers "$SLURM_CPUS_PER_TASK" || code=$?
# 75: out of time, or another job still trains a part. Slurm starts this job again, which goes on.
if [ "$code" -eq 75 ]; then
  scontrol requeue "${{SLURM_ARRAY_JOB_ID}}_$SLURM_ARRAY_TASK_ID"
fi
exit "$code"
"""


def array_script(
    suite: str,
    seeds: Sequence[int],
    command: Sequence[str],
    *,
    limit: float,
    cores: int | None,
    gpu: bool,
) -> str:
    """The script of an array that runs `command`, the words of a sweep without seeds and workers.

    `limit` is that of `command`, in seconds. Jobs begin in the present working directory, on
    `cores` cores, None for CORES, and with one GPU if there is to be a `gpu`.
    """
    return SCRIPT.format(
        suite=suite,
        name=shlex.quote(suite),
        array=_ranges(seeds),
        gpu="#SBATCH --gres=gpu:1\n" if gpu else "",
        cores=cores or CORES,
        minutes=math.ceil(limit / 60) + MARGIN,
        folder=shlex.quote(str(Path.cwd())),
        job=JOB,
        command=shlex.join([sys.executable, "-m", "resnet_bench", *command]),
    )


def _ranges(seeds: Sequence[int]) -> str:
    """ "0-4,7", as Slurm writes the indices of an array."""
    blocks = groupby(enumerate(sorted(seeds)), lambda pair: pair[1] - pair[0])
    ends = [[seed for _, seed in block] for _, block in blocks]
    return ",".join(str(one[0]) if len(one) == 1 else f"{one[0]}-{one[-1]}" for one in ends)
