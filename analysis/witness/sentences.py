"""Identity witnesses: deeper networks that compute what a shallow one does, and training on.

Section 1 of the paper: "there exists a solution by construction to the deeper model", the shallow
one's layers and identities, so that it "should produce no higher training error". `python -m
resnet_bench witness` builds that solution, the witness, and trains it on. A witness *stays* if its
training error is never measured more than half a point above its first; it *comes back* if it was,
but is not at the end; it *drifts away* if it is at the end.
"""

from collections import Counter

import pandas as pd

from analysis.formatting import counted, percent
from analysis.frames.witnesses import Witnesses
from analysis.verdict.words import TOLERANCE


def sentences(data: Witnesses) -> list[str]:
    """The result of each pair of networks: a sentence each; copies, the control, come last."""
    pairs = sorted(data.pairs(), key=lambda pair: pair[0] == pair[1])
    return [
        (_of_copy if source == deep else _sentence)(*data.of_pair(source, deep))
        for source, deep in pairs
    ]


def _sentence(points: pd.DataFrame, curves: pd.DataFrame) -> str:
    first = points.iloc[0]
    largest = points["max_difference"].max()
    equal = "equal bit for bit" if largest == 0 else f"at most {largest:.2g} apart"
    n = len(points)
    trained = points["trained_error"].dropna()
    by_sgd = f", while SGD's {first['deep']} has {_percent(trained, n)}" if len(trained) else ""
    on = f" Trained on from there, by learning rate: {_rates(curves, n)}." if len(curves) else ""
    # Precise batch norm re-estimates the added norms, too, which may change an image or two.
    return (
        f"{first['source']} and identity blocks make a {first['deep']} of the same function"
        f" (outputs {equal} on {first['images']:,} images; {_seeds(points)}): with batch norm"
        f" re-estimated its training error is {_percent(points['witness_error'], n)}"
        f" ({first['source']}'s own: {_percent(points['source_error'], n)}){by_sgd}.{on}"
    )


def _of_copy(points: pd.DataFrame, curves: pd.DataFrame) -> str:
    """The effect of training on without added layers."""
    return (
        f"For comparison, {points['source'].iloc[0]} itself, trained on in the same way"
        f" ({_seeds(points)}): {_rates(curves, len(points))}."
    )


def _seeds(points: pd.DataFrame) -> str:
    """The seeds over which the errors of a sentence are taken."""
    return f"errors are medians over {len(points)} seeds" if len(points) > 1 else "one seed"


def _rates(curves: pd.DataFrame, n: int) -> str:
    rates = curves.groupby("learning_rate")
    return "; ".join(_rate(float(str(rate)), rows, n) for rate, rows in rates)


def _rate(rate: float, curves: pd.DataFrame, n: int) -> str:
    """ "0.01: 1.18% after 360 iterations, 7.24% at most on the way (comes back)" """
    by_seed = curves.groupby("seed", sort=True)
    finals = by_seed.last()
    finished = finals[finals["status"] == "finished"]
    words = []
    if len(finished):
        limit = by_seed["error"].first()[finished.index] + TOLERANCE
        highest = by_seed["error"].max()[finished.index]
        fates = [
            "stays" if stayed else "comes back" if came_back else "drifts away"
            for stayed, came_back in zip(highest <= limit, finished["error"] <= limit, strict=True)
        ]
        end = f"{finished['iteration'].max():,} iterations"
        way = "" if set(fates) == {"stays"} else f", {_percent(highest, n)} at most on the way"
        words.append(f"{_percent(finished['error'], n)} after {end}{way} ({_fates(fates)})")
    for status in ("diverged", "partial"):
        if count := int((finals["status"] == status).sum()):
            words.append(f"{count} {status}")
    return f"{rate:g}: {', '.join(words)}"


def _fates(fates: list[str]) -> str:
    """ "stays", or the number of seeds of each: "stays with 1, drifts away with 2 of 3 seeds" """
    counts = Counter(sorted(fates, reverse=True))
    if len(counts) == 1:
        return fates[0]
    return f"{', '.join(f'{fate} with {n}' for fate, n in counts.items())} of {len(fates)} seeds"


def _percent(errors: pd.Series, n: int) -> str:
    """The median, with the number of seeds if below `n`: "2.37% (1 seed)"."""
    count = int(errors.count())
    few = f" ({counted(count, 'seed')})" if count < n else ""
    return f"{percent(errors.median())}%{few}"
