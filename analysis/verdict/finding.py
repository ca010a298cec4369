"""The finding in one sentence, with the budget it holds at."""

import math

import pandas as pd

from analysis.formatting import counted, listed, percent, points
from analysis.frames import select
from analysis.verdict import contrasts
from analysis.verdict.contrasts import Contrast
from analysis.verdict.statistics import Interval
from analysis.verdict.words import TOLERANCE


def sentence(frame: pd.DataFrame) -> str:
    """What the runs of a suite show, in a sentence; `frame` as from `load.runs`."""
    if not select.has_own(frame):
        return final_errors(frame)
    return f"After {budget(frame)}, {of_contrasts(contrasts.primary(frame))}"


def of_contrasts(primary: list[Contrast]) -> str:
    """What the primary contrasts show: the sentence's end, after its budget."""
    if not primary:
        return "nothing can be said: there are no networks of two depths."
    measured = [contrast for contrast in primary if contrast.mean is not None]
    unmeasured = [one for one in primary if one.mean is None and one.lost]
    if not measured:
        lost = contrasts.lost_runs(unmeasured)
        if not lost:
            return "nothing can be said: no network is there at both depths."
        return f"nothing can be said yet: {', '.join(lost)}."
    start, rest = f"going from {span(measured[0])}", "".join(map(_unmeasured, unmeasured))
    if all(contrast.counts == [1, 1] for contrast in measured):
        changes = listed(f"by {_mean(one)} for {_networks(one)}" for one in measured)
        end = "a single seed carries no verdict"
        return f"{start} changes the training error {changes}: {end}{rest}."
    return f"{start}, {', and '.join(map(_clause, measured))}{removed(primary)}{rest}."


def _unmeasured(contrast: Contrast) -> str:
    """A clause on a family of which a network has no ended run."""
    lost = ", ".join(run.text for run in contrast.lost)
    return f"; of {_networks(contrast)} nothing can be said yet: {lost}"


def removed(primary: list[Contrast]) -> str:
    """A clause on the share that shortcuts remove; "" where plain networks do not degrade."""
    plain, residual = primary
    if plain.word != "degrades" or residual.removed is None:
        return ""
    return f": {residual.kind} removes {share(residual.removed)} of the degradation"


def share(interval: Interval) -> str:
    """ "97% (94 to 99)"; "97%" if the ends are not known; one digit more if they are near"""
    if math.isnan(interval.low):
        return f"{100 * interval.mean:.0f}%"
    digits = int(interval.high - interval.low < 0.02)
    mean, low, high = (
        f"{100 * value:.{digits}f}" for value in (interval.mean, interval.low, interval.high)
    )
    return f"{mean}% ({low} to {high})"


def of_other_options(frame: pd.DataFrame) -> str:
    """What depth does to residual networks outside the primary contrasts; "" without any."""
    pair = select.depth_pair(select.grid_networks(frame))
    found = [
        contrast
        for contrast in contrasts.secondary(frame)
        if (contrast.shallow, contrast.deep) == pair and contrast.endpoint == contrasts.ENDPOINT
    ]
    clauses = [
        f"of {_networks(one)} changes by {_mean(one)} ({ends(one.interval)}, {seeds(*one.counts)})"
        for one in found
        if one.interval
    ]
    if not clauses:
        return ""
    return (
        f"From {span(found[0])} the training error {', that '.join(clauses)}: secondary, with"
        " unadjusted 95% intervals and no verdict."
    )


def budget(frame: pd.DataFrame) -> str:
    """ "64,000 iterations on cifar10" """
    parts = []
    for dataset, runs in select.main_networks(frame).groupby("dataset", sort=False):
        budgets = sorted(runs["recipe.iterations"].unique())
        counts = listed((f"{iterations:,}" for iterations in budgets), "or")
        parts.append(f"{counts} iterations on {dataset}")
    return listed(parts)


def ends(interval: Interval) -> str:
    """Both ends of an interval in percentage points: "+58.49 to +73.50".

    An end that two digits would round onto 0 or the tolerance, where the verdict changes, gets up
    to four.
    """
    return f"{_end(interval.low)} to {_end(interval.high)}"


def _end(value: float) -> str:
    exact, borders = 100 * value, (0.0, 100 * TOLERANCE)
    for digits in (2, 3, 4):
        shown = round(exact, digits)
        if shown == exact or shown not in borders:
            return f"{shown + 0.0:+.{digits}f}"
    return points(value)  # within 0.00005 points of the border


def span(contrast: Contrast) -> str:
    """ "20 to 56 layers" """
    return f"{contrast.shallow} to {contrast.deep} layers"


def _networks(contrast: Contrast) -> str:
    """ "plain networks" or "residual networks (option A)" """
    plain = contrast.family == "plain"
    return "plain networks" if plain else f"residual networks ({contrast.kind})"


def _mean(contrast: Contrast) -> str:
    """ "+62.20 points" """
    assert contrast.mean is not None  # the caller has checked that there are values
    return f"{points(contrast.mean)} points"


def _clause(contrast: Contrast) -> str:
    networks = _networks(contrast)
    words = {
        "degrades": f"{networks} degrade",
        "rises": f"the error of {networks} rises within the margin",
        "does not degrade": f"{networks} do not degrade",
    }.get(contrast.word or "", f"whether {networks} degrade is undecided")
    return f"{words} (training error {change(contrast)})"


def change(contrast: Contrast) -> str:
    """ "+62.20 points, +58.49 to +65.91, 6 seeds", and what there is to say of single runs"""
    interval = f" {ends(contrast.interval)}," if contrast.interval else ""
    found = [f"{_mean(contrast)},{interval} {seeds(*contrast.counts)}"]
    for network, sample in contrast.samples.items():
        if sample.diverged:
            runs = f"{len(sample.diverged)} of {len(sample)} {network}"
            found.append(f"{runs} diverged, which counts as guessing")
    found += [run.text for run in contrast.lost if run.why.startswith("finished")]
    return "; ".join(found)


def seeds(few: int, many: int) -> str:
    """ "6 seeds", or "5 to 6 seeds" """
    return f"{few} to {many} seeds" if few < many else counted(many, "seed")


def final_errors(frame: pd.DataFrame) -> str:
    """The final test error of each experiment, by data set: a sentence that compares no depths."""
    parts = []
    for dataset, runs in select.finals(select.declared(frame)).groupby("dataset", sort=False):
        networks = [_final_error(its_runs) for _, its_runs in runs.groupby("network", sort=False)]
        parts.append(f"on {dataset} {', '.join(networks)}")
    return f"Final test errors, means over finished seeds: {'; '.join(parts)}."


def _final_error(runs: pd.DataFrame) -> str:
    """ "d2l-resnet18 8.53%", "... diverged at iteration 90" or "... has not ended" """
    errors = select.finished(runs)["test_error"]
    diverged = runs.loc[runs["status"] == "diverged", "ended_at"]
    words = [f"{percent(errors.mean())}%"] if len(errors) else []
    if len(diverged):
        at = listed(f"{iteration:,}" for iteration in sorted(set(diverged)))
        words.append(f"{'a seed ' if words else ''}diverged at iteration {at}")
    return f"{runs['network'].iloc[0]} {', '.join(words) or 'has not ended'}"
