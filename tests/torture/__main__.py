"""`python -m tests.torture` tries to cause a wrong number, a traceback or a hang; prints a table.

Faults at system calls, changed files, killed and concurrent sweeps, low limits, odd machines. The
seed repeats the trials in their order; how many there are depends on the time.
"""

import argparse
import random
import sys
import tempfile
from pathlib import Path

from tests.torture.faults import COMPILER, reload_with_faults


def main() -> int:
    arguments = argparse.ArgumentParser("python -m tests.torture", description=__doc__)
    arguments.add_argument("--seconds", type=float, default=540, help="in all, about (540)")
    arguments.add_argument("--seed", type=int, default=random.randrange(10**6))
    given = arguments.parse_args()
    if COMPILER is None:
        print("error: faults at system calls need a C compiler, cc", file=sys.stderr)
        return 2
    reload_with_faults()
    print(f"python -m tests.torture --seed {given.seed} --seconds {given.seconds:g}", flush=True)
    from tests.torture import one_run, sweeps, trials

    table: dict[str, trials.Row] = {}
    with tempfile.TemporaryDirectory(prefix="torture-") as name:
        folder = Path(name)
        trained = one_run.Trained(folder, random.Random(given.seed))
        print(f"{trained.calls} system calls on the files of a run", flush=True)
        trials.run_for(0.4 * given.seconds, one_run.faults(trained), table)
        trials.run_for(0.15 * given.seconds, one_run.corruptions(trained), table)
        rng = random.Random(given.seed)
        trials.run_for(0.45 * given.seconds, sweeps.trials(folder, rng), table)
    print(trials.in_markdown(table))
    return int(any(row.found for row in table.values()))


if __name__ == "__main__":
    sys.exit(main())
