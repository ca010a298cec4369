"""Identity witnesses: deeper networks that compute what a shallow one does, and training on.

Section 1 of the paper: "there exists a solution by construction to the deeper model", the shallow
one's layers and identities, so that it "should produce no higher training error". `python -m
resnet_bench witness` builds it; here is what became of it. Trained on from there, what is never
more than half a point above where it began *stays*; what was, but does not end there, *comes back*;
what ends there *drifts away*.
"""

from collections import Counter

import pandas as pd

from analysis.frames.witnesses import Witnesses
from analysis.verdict import contrasts


def sentences(data: Witnesses) -> list[str]:
    """What each pair of networks shows: a sentence each; copies, the control, come last."""
    pairs = sorted(data.pairs(), key=lambda pair: pair[0] == pair[1])
    return [
        (_of_copy if pair[0] == pair[1] else _sentence)(
            _of(data.points, pair), _of(data.curves, pair)
        )
        for pair in pairs
    ]


def _of(table: pd.DataFrame, pair: tuple[str, str]) -> pd.DataFrame:
    return table[(table["source"] == pair[0]) & (table["deep"] == pair[1])]


def _sentence(points: pd.DataFrame, curves: pd.DataFrame) -> str:
    first = points.iloc[0]
    largest = points["max_difference"].max()
    equal = "equal bit for bit" if largest == 0 else f"at most {largest:.2g} apart"
    n = len(points)
    trained = points["trained_error"].dropna()
    by_sgd = f", while SGD's {first['deep']} has {_percent(trained, n)}" if len(trained) else ""
    on = f" Trained on from there, by learning rate: {_rates(curves, n)}." if len(curves) else ""
    # Precise batch norm re-estimates the added norms, too, which may move an image or two.
    return (
        f"{first['source']} and identity blocks make a {first['deep']} of the same function"
        f" (outputs {equal} on {first['images']:,} images; {_seeds(points)}): with batch norm"
        f" re-estimated its training error is {_percent(points['witness_error'], n)}"
        f" ({first['source']}'s own: {_percent(points['source_error'], n)}){by_sgd}.{on}"
    )


def _of_copy(points: pd.DataFrame, curves: pd.DataFrame) -> str:
    """What training on does without added layers."""
    return (
        f"For comparison, {points['source'].iloc[0]} itself, trained on in the same way"
        f" ({_seeds(points)}): {_rates(curves, len(points))}."
    )


def _seeds(points: pd.DataFrame) -> str:
    """What the errors of a sentence are taken over."""
    return f"errors are medians over {len(points)} seeds" if len(points) > 1 else "one seed"


def _rates(curves: pd.DataFrame, n: int) -> str:
    rates = curves.groupby("learning_rate")
    return "; ".join(_rate(float(str(rate)), of, n) for rate, of in rates)


def _rate(rate: float, curves: pd.DataFrame, n: int) -> str:
    """ "0.01: 1.18% after 360 iterations, 7.24% at most on the way (comes back)" """
    by_seed = curves.groupby("seed", sort=True)
    ended = by_seed.last()
    done = ended[ended["status"] == "finished"]
    words = []
    if len(done):
        kept = by_seed["error"].first()[done.index] + contrasts.TOLERANCE
        highest = by_seed["error"].max()[done.index]
        found = [
            "stays" if stayed else "comes back" if came_back else "drifts away"
            for stayed, came_back in zip(highest <= kept, done["error"] <= kept, strict=True)
        ]
        end = f"{done['iteration'].max():,} iterations"
        way = "" if set(found) == {"stays"} else f", {_percent(highest, n)} at most on the way"
        words.append(f"{_percent(done['error'], n)} after {end}{way} ({_fates(found)})")
    for status in ("diverged", "partial"):
        if (ended["status"] == status).any():
            words.append(f"{(ended['status'] == status).sum()} {status}")
    return f"{rate:g}: {', '.join(words)}"


def _fates(found: list[str]) -> str:
    """ "stays", or how many seeds each: "stays with 1, drifts away with 2 of 3 seeds" """
    counts = Counter(sorted(found, reverse=True))
    if len(counts) == 1:
        return found[0]
    return f"{', '.join(f'{fate} with {n}' for fate, n in counts.items())} of {len(found)} seeds"


def _percent(errors: pd.Series, n: int) -> str:
    """The median, and over how many seeds where that is not all `n` of them: "2.37% (1 seed)"."""
    count = int(errors.count())
    some = f" ({count} seed{'s' if count > 1 else ''})" if count < n else ""
    return f"{100 * errors.median():.2f}%{some}"
