"""The finding in one sentence, with the budget it holds at."""

from collections.abc import Sequence

import pandas as pd

from analysis.formatting import points
from analysis.frames import select
from analysis.verdict import contrasts
from analysis.verdict.contrasts import TOLERANCE, Contrast
from analysis.verdict.statistics import Interval


def sentence(frame: pd.DataFrame) -> str:
    """What the runs of a suite show, in a sentence; `frame` as from `load.runs`."""
    if not select.has_own(frame):
        return final_errors(frame)
    return f"After {budget(frame)}, {of_contrasts(contrasts.primary(frame))}"


def of_contrasts(found: list[Contrast]) -> str:
    """What the three primary contrasts show: the sentence's end, after its budget."""
    if not found:
        return "nothing can be said: there are no networks of two depths."
    *families, difference = found
    there = [contrast for contrast in families if contrast.values]
    gone = [contrast for contrast in families if not contrast.values and contrast.lost]
    if not there:
        lost = sorted({reason for contrast in gone for reason in contrast.lost})
        if not lost:
            return "nothing can be said: no network is there at both depths."
        return f"nothing can be said{_yet(lost)}: {', '.join(lost)}."
    start = f"going from {_span(there[0])}"
    if all(contrast.n == 1 for contrast in there):
        changes = " and ".join(f"by {_change(one)} for {_family(one)}" for one in there)
        end = "a single pair of runs carries no verdict"
        return f"{start} changes the training error {changes}: {end}{_of_the_gone(gone)}."
    clauses = ", and ".join(map(_clause, there))
    relation = f"; {_relation(difference, there)}" if len(there) == 2 else ""
    return f"{start}, {clauses}{relation}{_of_the_gone(gone)}."


def _of_the_gone(gone: list[Contrast]) -> str:
    """What is said of families without a single pair of runs, and why."""
    return "".join(
        f"; of {_family(contrast)} nothing can be said{_yet(contrast.lost)}:"
        f" {', '.join(contrast.lost)}"
        for contrast in gone
    )


def _yet(lost: Sequence[str]) -> str:
    """ " yet", unless all that is lost is lost for good."""
    return "" if all(reason.endswith("diverged") for reason in lost) else " yet"


def of_other_options(frame: pd.DataFrame) -> str:
    """What depth costs residual networks that the primary contrasts leave out; "" without any."""
    pair = contrasts.depth_pair(select.grid_networks(frame))
    found = [
        contrast
        for contrast in contrasts.secondary(frame)
        if pair and contrast.name.endswith(f": {pair[1]} - {pair[0]}")
        if contrast.endpoint == contrasts.ENDPOINT
    ]
    clauses = [
        f"of {_family(one)} changes by {_change(one)} ({ends(one.interval)}, {one.n} seeds)"
        for one in found
        if one.interval
    ]
    if not clauses:
        return ""
    return (
        f"From {_span(found[0])} the training error {', that '.join(clauses)}: secondary, with"
        " unadjusted 95% intervals and no verdict."
    )


def budget(frame: pd.DataFrame) -> str:
    """ "64,000 iterations on cifar10" """
    runs = select.main_networks(frame)
    parts = []
    for dataset, of_dataset in runs.groupby("dataset", sort=False):
        budgets = sorted(of_dataset["recipe.iterations"].unique())
        count = " or ".join(f"{iterations:,}" for iterations in budgets)
        parts.append(f"{count} iterations on {dataset}")
    return " and ".join(parts)


def ends(interval: Interval) -> str:
    """Both ends of an interval in percentage points: "+58.49 to +73.50".

    With as many more digits as it takes for an end not to be rounded onto 0 or the tolerance, on
    whose sides the verdict turns.
    """
    return f"{_end(interval.low)} to {_end(interval.high)}"


def _end(value: float) -> str:
    percent, borders = 100 * value, (0.0, 100 * TOLERANCE)
    for digits in (2, 3, 4):
        shown = round(percent, digits)
        if shown == percent or shown not in borders:
            return f"{shown + 0.0:+.{digits}f}"
    return points(value)  # closer than anybody could tell


def _span(contrast: Contrast) -> str:
    """ "20 to 56 layers", of "plain: 56 - 20" """
    deep, _, shallow = contrast.name.partition(": ")[2].partition(" - ")
    return f"{shallow} to {deep} layers"


def _family(contrast: Contrast) -> str:
    """ "residual networks (option A)", of "option A: 56 - 20" """
    kind = contrast.name.partition(":")[0]
    return "plain networks" if kind == "plain" else f"residual networks ({kind})"


def _change(contrast: Contrast) -> str:
    assert contrast.mean is not None
    return f"{points(contrast.mean)} points"


def _clause(contrast: Contrast) -> str:
    family = _family(contrast)
    if contrast.interval is None:
        change = f"training error {_change(contrast)}, a single pair of runs"
        return f"whether {family} degrade is open ({change})"
    words = {
        "degrades": f"{family} degrade",
        "does not degrade": f"{family} do not degrade",
    }.get(contrast.word, f"whether {family} degrade is undecided")
    return (
        f"{words} (training error {_change(contrast)}, {ends(contrast.interval)},"
        f" {contrast.n} seeds{', a run diverged' if contrast.diverged else ''})"
    )


def _relation(difference: Contrast, families: Sequence[Contrast]) -> str:
    """Of the difference of both families, over the seeds that have all four runs."""
    if difference.interval is None:
        return "their difference is undecided"
    fewer = any(family.n != difference.n for family in families)
    seeds = f" ({difference.n} seeds)" if fewer else ""
    return f"their difference, {_change(difference)}{seeds}, is {difference.word}"


def final_errors(frame: pd.DataFrame) -> str:
    """Where each experiment ends, by data set, in a sentence that compares no depths."""
    runs = select.declared(frame)
    parts = []
    for dataset, of_dataset in select.finals(runs).groupby("dataset", sort=False):
        ends = [_final_error(of) for _, of in of_dataset.groupby("network", sort=False)]
        parts.append(f"on {dataset} {', '.join(ends)}")
    return f"Final test errors, means over finished seeds: {'; '.join(parts)}."


def _final_error(of_network: pd.DataFrame) -> str:
    """ "d2l-resnet18 8.53%", or what became of it instead."""
    name = of_network["network"].iloc[0]
    errors = select.finished(of_network)["test_error"]
    diverged = of_network.loc[of_network["status"] == "diverged", "ended_at"]
    words = [f"{100 * errors.mean():.2f}%"] if len(errors) else []
    if len(diverged):
        at = " and ".join(f"{iteration:,}" for iteration in sorted(set(diverged)))
        words.append(f"{'a seed ' if words else ''}diverged at iteration {at}")
    return f"{name} {', '.join(words) or 'has not ended'}"
