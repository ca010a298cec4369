"""The checks of fidelity: are runs as declared, matched, and do their numbers agree?"""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import pandas as pd

from analysis.fidelity import paper, schedule, table6
from analysis.formatting import counted, percent, percent_range
from analysis.frames import select
from resnet_bench.suites.suite import load_suite

State = Literal["ok", "off", "not compared"]


@dataclass(frozen=True)
class Check:
    """The result of one check."""

    state: State
    what: str
    found: str  # what was compared, or everything that is off


def all_checks(frame: pd.DataFrame, suites: Path | None = None) -> list[Check]:
    """Every check of a suite's runs; `frame` as from `load.runs`."""
    finals = select.finals(frame)
    runs = select.declared(finals)
    suite = load_suite(runs["suite"].iloc[0], suites)
    sound = select.sound(frame)  # including those of changed settings
    ends = select.sound(finals)
    names = [experiment.network_name for experiment in suite.experiments]
    return [
        _as_declared(finals),
        _sizes(runs),
        _twins(runs),
        _check(
            "learning rate really used",
            schedule.wrong_rates(sound, suite),
            f"{len(select.curves(sound)):,} records on schedule",
        ),
        _check(
            "records at the ends of epochs",
            schedule.wrong_iterations(sound, suite),
            "every record where it is due",
        ),
        _batches(ends),
        _weights(ends),
        _results(frame),
        _finished(ends[ends["network"].isin(names)]),  # not those of changed settings
    ]


def _check(what: str, wrong: list[str], right: str, not_compared: str = "") -> Check:
    """A check that is off if anything is `wrong`; `right` says what was compared.

    Else `not_compared`, if given, says why there was nothing to compare.
    """
    if wrong:
        return Check("off", what, "; ".join(wrong))
    return Check("not compared", what, not_compared) if not_compared else Check("ok", what, right)


def _as_declared(frame: pd.DataFrame) -> Check:
    finals = select.finals(frame)
    refused = finals[finals["problem"] != ""].to_dict("records")
    wrong = [f"{run['network']} seed {run['seed']}: {run['problem']}" for run in refused]
    return _check("runs as the suite file declares", wrong, counted(len(finals), "run"))


def _sizes(runs: pd.DataFrame) -> Check:
    """Parameters and multiply-adds against those counted by hand from section 4.2."""
    grid = runs[(runs["variant"] == "") & (runs["dataset"] == paper.DATASET)]
    grid = grid[grid["network.architecture"] == paper.ARCHITECTURE]
    wrong, compared = [], 0
    for network, run in _first_rows(grid):
        known = paper.SIZES.get((run["shortcut"], run["depth"]))
        ours = (run["parameters"], run["multiply_adds"])
        compared += known is not None
        if known is not None and ours != known:
            wrong.append(
                f"{network} has {ours[0]:,} and {ours[1]:,}, not {known[0]:,}, {known[1]:,}"
            )
    others = "" if compared else "the paper's are of its networks on 32x32 colour images"
    right = f"{compared} networks as counted from section 4.2"
    return _check("parameters and multiply-adds", wrong, right, others)


def _twins(runs: pd.DataFrame) -> Check:
    """Section 4.2: a residual network with option A is as large as the plain one of its depth."""
    sizes = {
        (run["shortcut"], run["depth"]): (run["parameters"], run["multiply_adds"])
        for _, run in _first_rows(runs[runs["variant"] == ""])
    }
    pairs = [depth for kind, depth in sizes if kind == "none" and ("A", depth) in sizes]
    wrong = [
        f"plain-{depth} and resnet-{depth}-A differ in size"
        for depth in pairs
        if sizes["none", depth] != sizes["A", depth]
    ]
    right = f"equal in size at {', '.join(map(str, pairs))} layers"
    none = "" if pairs else "no pair of equal depth"
    return _check("plain and option A alike", wrong, right, none)


def _batches(runs: pd.DataFrame) -> Check:
    """The same images in the same order for every network of a seed, and others for other seeds."""
    begun = select.finals(runs[runs["status"] != "missing"])
    wrong = [f"networks of seed {seed} differ" for seed in select.unmatched_seeds(begun)]
    if not wrong and (begun.groupby("batch_stream")["seed"].nunique() > 1).any():
        wrong = ["two seeds share one"]
    seeds = ", ".join(map(str, sorted(begun["seed"].unique())))
    return _check("batch stream", wrong, f"one for all networks of a recipe, at seeds {seeds}")


def _weights(runs: pd.DataFrame) -> Check:
    """Equal initial weights of plain and option A, equal shared ones of all shortcuts.

    Those of a cure may follow from the shortcut: `identity` makes F the identity or zero.
    """
    begun = select.finals(runs[(runs["status"] != "missing") & (runs["cures"] == "")])
    twins = [*select.recipe_columns(begun), *select.twin_columns(begun), "depth", "seed"]

    def differing(runs: pd.DataFrame, column: str, words: str) -> list[str]:
        counts = runs.groupby(twins, dropna=False, sort=False)[column].nunique()
        return [
            f"{words} differ at {depth} layers, seed {seed}"
            for *_, depth, seed in counts[counts > 1].index
        ]

    pairs = begun[begun["shortcut"].isin(["none", "A"])]
    wrong = differing(begun, "initial_shared_weights", "shared ones")
    wrong += differing(pairs, "initial_weights", "plain and option A")
    groups = begun.groupby(twins, dropna=False, sort=False).ngroups
    return _check("initial weights", wrong, f"matched in {groups} groups of one depth and seed")


def _results(runs: pd.DataFrame) -> Check:
    """Mean final test errors against the acceptance bands around table 6 and figure 6."""
    table = table6.final_errors(runs)
    compared = table[table["in_band"] != ""]
    wrong = [
        f"{row['network']} {percent(row['test_mean'])}% is outside"
        f" {percent_range(row['band_low'], row['band_high'])}%"
        for row in compared[compared["in_band"] == "no"].to_dict("records")
    ]
    right = f"{len(compared)} networks inside their bands"
    none = _without_band(table) if compared.empty else ""
    return _check("final test errors", wrong, right, none)


def _without_band(table: pd.DataFrame) -> str:
    """Why no error is compared with a band; names those that the paper reports."""
    without = table[(table["paper_source"] != "") & table["test_mean"].notna()]
    errors = [
        f"{row['network']} {percent(row['test_mean'])}%, the paper's"
        f" {percent(row['paper_test'])}% ({row['paper_source']}); no repeats to make a band of"
        for row in without.to_dict("records")
    ]
    return "; ".join(errors) or (
        f"the paper's are for its recipe of {paper.ITERATIONS:,} iterations on {paper.DATASET}, and"
        " finished runs of its networks"
    )


def _finished(runs: pd.DataFrame) -> Check:
    """Off if any run diverged; not compared if any is missing or partial."""
    finals = select.finals(runs)
    diverged = select.diverged(runs).to_dict("records")
    wrong = [f"diverged: {run['network']} seed {run['seed']}" for run in diverged]
    unfinished = int(finals["status"].isin(["partial", "missing"]).sum())
    some = f"{unfinished} partial or missing" if unfinished else ""
    return _check("all runs finished", wrong, counted(len(finals), "run"), some)


def _first_rows(runs: pd.DataFrame) -> Iterable[tuple[str, pd.Series]]:
    """(network, its first row) of every network."""
    networks = runs.groupby("network", sort=False)
    return ((str(network), its_rows.iloc[0]) for network, its_rows in networks)
