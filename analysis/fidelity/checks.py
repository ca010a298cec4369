"""The checks of fidelity: the paper's experiment, run as declared, with numbers that agree?"""

import math
from collections.abc import Iterable
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any, Literal

import pandas as pd

from analysis.fidelity import paper, table6
from analysis.frames import integrity, select
from resnet_bench.paths import SUITES_FOLDER
from resnet_bench.suites.experiment import Experiment
from resnet_bench.suites.recipe import Recipe
from resnet_bench.suites.suite import Suite, load_suite
from resnet_bench.training.schedule import learning_rate_at

State = Literal["ok", "off", "not compared"]


@dataclass(frozen=True)
class Check:
    """One point of the comparison."""

    state: State
    what: str
    found: str  # what was compared, or everything that is off


def all_checks(frame: pd.DataFrame, suites: Path = SUITES_FOLDER) -> list[Check]:
    """Every check of a suite's runs; `frame` as from `load.runs`."""
    runs = select.declared(frame)
    suite = load_suite(runs["suite"].iloc[0], suites)
    sound = frame[frame["problem"] == ""]  # of changed settings, too
    names = [experiment.network_name for experiment in suite.experiments]
    return [
        _as_declared(frame),
        _sizes(runs),
        _twins(runs),
        _learning_rates(sound, suite),
        _iterations(sound, suite),
        _batches(sound),
        _weights(sound),
        _results(runs),
        _ended(sound[sound["network"].isin(names)]),  # a user's own may diverge
    ]


def _check(what: str, wrong: list[str], right: str) -> Check:
    return Check("off", what, "; ".join(wrong)) if wrong else Check("ok", what, right)


def _as_declared(frame: pd.DataFrame) -> Check:
    refused = select.finals(frame[frame["problem"] != ""])
    wrong = [
        f"{run['network']} seed {run['seed']}: {run['problem']}"
        for run in refused.to_dict("records")
    ]
    return _check("runs as the suite file declares", wrong, f"{_count(select.finals(frame))}")


def _sizes(runs: pd.DataFrame) -> Check:
    """Parameters and multiply-adds against those counted by hand from section 4.2."""
    what = "parameters and multiply-adds"
    own = runs[(runs["variant"] == "") & (runs["dataset"] == paper.DATASET)]
    own = own[own["network.architecture"] == paper.ARCHITECTURE]
    wrong, compared = [], 0
    for network, run in _one_each(own):
        known = paper.SIZES.get((run["shortcut"], run["depth"]))
        ours = (run["parameters"], run["multiply_adds"])
        compared += known is not None
        if known is not None and ours != known:
            wrong.append(
                f"{network} has {ours[0]:,} and {ours[1]:,}, not {known[0]:,}, {known[1]:,}"
            )
    if not compared:
        return Check("not compared", what, "the paper's are of its networks on 32x32 colour images")
    return _check(what, wrong, f"{compared} networks as counted from section 4.2")


def _twins(runs: pd.DataFrame) -> Check:
    """Section 4.2: with option A a residual network is as large as its plain counterpart."""
    sizes = {
        (run["shortcut"], run["depth"]): (run["parameters"], run["multiply_adds"])
        for _, run in _one_each(runs[runs["variant"] == ""])
    }
    pairs = [depth for kind, depth in sizes if kind == "none" and ("A", depth) in sizes]
    wrong = [
        f"plain-{depth} and resnet-{depth}-A differ in size"
        for depth in pairs
        if sizes["none", depth] != sizes["A", depth]
    ]
    if not pairs:
        return Check("not compared", "plain and option A alike", "no pair of equal depth")
    return _check("plain and option A alike", wrong, f"equal in size at {_list(pairs)} layers")


def _learning_rates(runs: pd.DataFrame, suite: Suite) -> Check:
    """The rate of every record against the closed form of its experiment's recipe."""
    records = select.curves(runs)
    wrong = []
    for (network, seed), of_run in records.groupby(["network", "seed"], sort=False):
        recipe = _recipe(suite, str(network))
        for iteration, rate in zip(of_run["iteration"], of_run["learning_rate"], strict=True):
            declared = learning_rate_at(iteration - 1, recipe)
            if not math.isclose(rate, declared, rel_tol=1e-9):
                wrong.append(f"{network} seed {seed}: {rate:g} at {iteration}, not {declared:g}")
                break  # the first is enough to know
    return _check("learning rate really used", wrong, f"{len(records):,} records on schedule")


def _iterations(runs: pd.DataFrame, suite: Suite) -> Check:
    """The k-th record where the k-th end of an epoch is, the last at the last iteration."""
    wrong = []
    for (network, seed), of_run in select.curves(runs).groupby(["network", "seed"], sort=False):
        experiment = integrity.declared_experiment(suite, str(network))
        assert experiment is not None  # others are refused
        end = experiment.recipe.iterations
        for number, iteration in enumerate(of_run["iteration"], start=1):
            due = min(record_due(number, experiment), end)
            if iteration != due:
                wrong.append(f"{network} seed {seed}: record {number} at {iteration}, not {due}")
                break
        if of_run["iteration"].duplicated().any():
            wrong.append(f"{network} seed {seed}: two records at one iteration")
        last = of_run.iloc[-1]
        if last["status"] == "finished" and last["iteration"] != end:
            wrong.append(f"{network} seed {seed} ends at {last['iteration']}, not {end}")
    return _check("records at the ends of epochs", wrong, "every record where it is due")


def record_due(number: int, experiment: Experiment) -> int:
    """The iteration after which a run's record of this `number` (1 is the first) is due."""
    recipe = experiment.recipe
    per_epoch = Fraction(experiment.train_images, recipe.batch_size)
    if recipe.last_batch != "run-on":
        per_epoch = Fraction(
            math.ceil(per_epoch) if recipe.last_batch == "short" else math.floor(per_epoch)
        )
    return math.ceil(number * per_epoch / recipe.records_per_epoch)


def _batches(runs: pd.DataFrame) -> Check:
    """The same images in the same order for every network of a seed, and others for other seeds."""
    there = select.finals(runs[runs["status"] != "missing"])
    wrong = [f"networks of seed {seed} differ" for seed in select.unmatched_seeds(there)]
    if not wrong and (there.groupby("batch_stream")["seed"].nunique() > 1).any():
        wrong = ["two seeds share one"]
    seeds = _list(sorted(there["seed"].unique()))
    return _check("batch stream", wrong, f"one for all networks of a recipe, at seeds {seeds}")


def _weights(runs: pd.DataFrame) -> Check:
    """Equal initial weights of plain and option A, equal shared ones of all shortcuts."""
    there = select.finals(runs[runs["status"] != "missing"])
    wrong, groups = [], 0
    twins = select.recipe_columns(there) + select.twin_columns(there)
    for _, same in there.groupby([*twins, "seed"], dropna=False, sort=False):
        groups += 1
        depth, seed = same["depth"].iloc[0], same["seed"].iloc[0]
        if same["initial_shared_weights"].nunique() > 1:
            wrong.append(f"shared ones differ at {depth} layers, seed {seed}")
        if same[same["shortcut"].isin(["none", "A"])]["initial_weights"].nunique() > 1:
            wrong.append(f"plain and option A differ at {depth} layers, seed {seed}")
    return _check("initial weights", wrong, f"matched in {groups} groups of one depth and seed")


def _results(runs: pd.DataFrame) -> Check:
    """Mean final test errors against the acceptance bands around table 6 and figure 6."""
    what = "final test errors"
    table = table6.final_errors(runs)
    compared = table[table["in_band"] != ""]
    if compared.empty:
        return Check("not compared", what, _without_band(table))
    wrong = [
        f"{row['network']} {100 * row['test_mean']:.2f}% is outside"
        f" {100 * row['band_low']:.1f}-{100 * row['band_high']:.1f}%"
        for row in compared[compared["in_band"] == "no"].to_dict("records")
    ]
    return _check(what, wrong, f"{len(compared)} networks inside their bands")


def _without_band(table: pd.DataFrame) -> str:
    """Why no error is held against a band; those that the paper has are named."""
    there = table[(table["paper_source"] != "") & table["test_mean"].notna()]
    errors = [
        f"{row['network']} {100 * row['test_mean']:.2f}%, the paper's"
        f" {100 * row['paper_test']:.2f}% ({row['paper_source']}); no repeats to make a band of"
        for row in there.to_dict("records")
    ]
    return "; ".join(errors) or (
        f"the paper's are for its recipe of {paper.ITERATIONS:,} iterations on {paper.DATASET}, and"
        " finished runs of its networks"
    )


def _ended(runs: pd.DataFrame) -> Check:
    """Diverged runs are off; missing and partial ones are not compared yet."""
    last = select.finals(runs)
    diverged = last[last["status"] == "diverged"]
    wrong = [f"{run['network']} seed {run['seed']}" for run in diverged.to_dict("records")]
    unfinished = int(last["status"].isin(["partial", "missing"]).sum())
    if unfinished and not wrong:
        return Check("not compared", "all runs finished", f"{unfinished} partial or missing")
    return _check("all runs finished", [f"diverged: {run}" for run in wrong], _count(last))


def _one_each(runs: pd.DataFrame) -> Iterable[tuple[str, pd.Series]]:
    return ((str(network), of.iloc[0]) for network, of in runs.groupby("network", sort=False))


def _recipe(suite: Suite, network: str) -> Recipe:
    experiment = integrity.declared_experiment(suite, network)
    assert experiment is not None  # others are refused
    return experiment.recipe


def _count(each: pd.DataFrame) -> str:
    return f"{len(each)} run{'s' if len(each) > 1 else ''}"


def _list(values: Iterable[Any]) -> str:
    return ", ".join(map(str, values))
