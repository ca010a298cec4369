"""Many runs on one machine: a process a core, or a process a GPU, and one bar for the whole.

On a CPU a group is one run in one single-threaded process; on a GPU it is all runs of one seed.
"""

import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

from resnet_bench.datasets.load import load_dataset
from resnet_bench.errors import UserError
from resnet_bench.locks import why_unlocked
from resnet_bench.suites.experiment import Run
from resnet_bench.sweeps.machine import Machine, available_cores, find_devices, why_no_gpu
from resnet_bench.sweeps.pool import Pool
from resnet_bench.sweeps.progress import Outcome, finished, work
from resnet_bench.sweeps.shared import why_alone
from resnet_bench.tracking.extras import alert_of_sweep

RESUMABLE = (75, 130)  # exit codes of a sweep that has not ended
LOCK_SECONDS = 2.0  # a worker whose parent was killed needs a moment to save and to leave


def group_runs(runs: Sequence[Run], *, one_by_one: bool) -> list[list[Run]]:
    """The runs as groups, longest first, so that the last ones to finish are short."""
    if one_by_one:
        groups = [[run] for run in runs]
    else:
        by_batches: dict[Any, list[Run]] = {}
        for run in runs:
            by_batches.setdefault(_batches(run), []).append(run)
        groups = list(by_batches.values())
    return sorted(groups, key=lambda group: -sum(work(run) for run in group))


def _batches(run: Run) -> tuple[Any, ...]:
    """What decides batches, when records are due, and precision: equal for runs of a group."""
    experiment, recipe = run.experiment, run.experiment.recipe
    batches = (run.seed, recipe.batch_size, recipe.flip, recipe.last_batch)
    records = (recipe.iterations, recipe.records_per_epoch, recipe.clean_every)
    return (*experiment.preprocessing(), *batches, *records, recipe.precision)


def sweep(
    runs: Sequence[Run],
    machine: Machine,
    *,
    workers: int | None = None,
    time_limit: float | None = None,
    time_needed: str = "",
    cluster: Any = None,
) -> Outcome:
    """Train `runs`, skipping what is finished; `workers` processes, None for one a core or GPU.

    A run that another process trains, on this machine or on another that shares the results, is
    skipped and looked at again at the end: it has ended, or is taken over, or counts as elsewhere.
    With a `cluster` (launchers/ray_cluster.py) the runs are trained there, and not here.
    Says how many are to be trained, and `time_needed`. Stops after `time_limit` seconds, finishing
    what is being measured, or on Ctrl-C or SIGTERM, at once but cleanly; a second one kills.
    Raises UserError if there is no such device, no way to get a data set, or a cure cannot be used.
    """
    deadline = None if time_limit is None else time.monotonic() + time_limit
    devices = [cluster.device] if cluster else find_devices(machine.device)
    if not devices[0].startswith("cuda"):
        machine.refuse_gpu_options()
    outcome, alone = Outcome(), "" if cluster else why_alone()
    pending = _look(runs, machine, outcome)
    if pending:
        _try_cures(pending)
        _fetch_data(pending, machine)
        no_gpu = "" if cluster or machine.device or devices != ["cpu"] else why_no_gpu()
        said = f"{len(pending)} of {len(runs)} runs to train. {time_needed}".rstrip()
        for line in filter(None, (no_gpu, said, why_unlocked(machine.results), alone)):
            print(line, file=sys.stderr)
    one_by_one = devices == ["cpu"] or bool(cluster and cluster.gpus_per_run)
    groups = group_runs(pending, one_by_one=one_by_one)
    if devices == ["cpu"]:
        devices *= 1 if alone else workers or available_cores()

    def pool(groups: list[list[Run]], machine: Machine) -> Pool:
        return Pool(
            groups, machine, devices[: len(groups)], deadline, outcome, bool(alone), cluster
        )

    _train(groups, machine, outcome, pool)
    _look_once_more(pending, machine, outcome)
    if pending:
        _alert(runs, machine, outcome)
    return outcome


def _look_once_more(trained: list[Run], machine: Machine, outcome: Outcome) -> None:
    """What was said to have ended is there: its folder may have been removed meanwhile."""
    ended = [run for run in trained if outcome.has_ended([run])]
    lost = _look(ended, machine, again := Outcome())
    outcome.mistakes += again.mistakes
    outcome.mistakes += [
        f"{run.directory(machine.results)}: removed after it ended" for run in lost
    ]
    outcome.forget(run for run in ended if not again.has_ended([run]))


def _alert(runs: Sequence[Run], machine: Machine, outcome: Outcome) -> None:
    """Tell W&B, if alerts are wanted, how the sweep has ended, unless it is to go on."""
    if outcome.exit_code() not in RESUMABLE:
        suite = runs[0].experiment.suite
        folder, mode = machine.results / suite, machine.wandb_mode
        alert_of_sweep(suite, outcome.in_words(len(runs)), folder=folder, mode=mode)


def _train(
    groups: list[list[Run]],
    machine: Machine,
    outcome: Outcome,
    pool: Callable[[list[list[Run]], Machine], Pool],
) -> None:
    """Train the groups, then those runs that were in training elsewhere, until nothing is new."""
    while groups:
        pending = sum(map(len, groups))
        pool(groups, machine).run()
        held = outcome.held()
        if not held or outcome.stopped or (machine.lock_seconds and len(held) == pending):
            return
        # Look again, whether they have ended or were given up.
        outcome.forget(held)
        machine = replace(machine, lock_seconds=LOCK_SECONDS)
        left = _look(held, machine, outcome)
        groups = [[run for run in group if run in left] for group in groups]
        groups = [group for group in groups if group]


def _look(runs: Sequence[Run], machine: Machine, outcome: Outcome) -> list[Run]:
    """The runs that have not ended; notes how the others have, or what is wrong with them."""
    pending = []
    for run in runs:
        try:
            done = finished(run, machine)
        except UserError as error:
            outcome.mistakes.append(str(error))
            continue
        if done is None:
            pending.append(run)
        else:
            outcome.ended.append(done)
    return pending


def _try_cures(runs: Sequence[Run]) -> None:
    """Try each cure once, in its smallest network: a mistake is told before anything is trained."""
    smallest = {run.experiment.cures: run for run in sorted(runs, key=work, reverse=True)}
    cured = [run for cures, run in smallest.items() if cures]
    if not cured:
        return
    import torch

    from resnet_bench.cures.trial import tried_network

    torch.set_num_threads(1)  # networks are small here, and other threads only wait
    for run in cured:
        tried_network(run.experiment, run.seed)


def _fetch_data(runs: Sequence[Run], machine: Machine) -> None:
    """Fetch or refuse each data set once, before the bar; the workers find it in its place."""
    for dataset in {run.experiment.dataset for run in runs}:
        load_dataset(dataset, machine.data_folder)
