"""The finding in one sentence, with the budget it holds at."""

from collections.abc import Sequence

import pandas as pd

from analysis import contrasts, named, select
from analysis.contrasts import Contrast


def sentence(frame: pd.DataFrame) -> str:
    """What the runs of a suite show, in a sentence; `frame` as from `load.runs`."""
    if not select.has_own(frame):
        return named.sentence(frame)
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
    relation = f"; {_relation(difference)}" if len(there) == 2 else ""
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


def budget(frame: pd.DataFrame) -> str:
    """ "64,000 iterations on cifar10" """
    runs = select.subject(frame)
    parts = []
    for dataset, of_dataset in runs.groupby("dataset", sort=False):
        budgets = sorted(of_dataset["recipe.iterations"].unique())
        count = " or ".join(f"{iterations:,}" for iterations in budgets)
        parts.append(f"{count} iterations on {dataset}")
    return " and ".join(parts)


def points(difference: float) -> str:
    """A difference of errors in percentage points: "+62.20"."""
    return f"{round(100 * difference, 2) + 0.0:+.2f}"  # + 0.0: never "-0.00"


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
    low, high = points(contrast.interval.low), points(contrast.interval.high)
    return (
        f"{words} (training error {_change(contrast)}, {low} to {high},"
        f" {contrast.n} seeds{', a run diverged' if contrast.diverged else ''})"
    )


def _relation(difference: Contrast) -> str:
    if difference.interval is None:
        return "their difference is undecided"
    return f"their difference, {_change(difference)}, is {difference.word}"
