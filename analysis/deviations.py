"""Where a suite departs from the paper, and how it settles what the paper leaves open.

Read off the recipe that the runs were made with, so that no list in prose can fall behind.
"""

from typing import Any

import pandas as pd

from analysis import paper, select


def from_paper(frame: pd.DataFrame) -> list[str]:
    """Everything that differs from section 4.2, a sentence each; `frame` as from `load.runs`."""
    runs = select.subject(frame)
    found = []
    for dataset in _values(runs, "dataset"):
        if dataset != paper.DATASET:
            found.append(f"data set: {dataset}, the paper's is {paper.DATASET}")
    for key, wanted in paper.RECIPE.items():
        found += [
            f"{key}: {_words(value)}, the paper's is {_words(wanted)}"
            for value in _values(runs, f"recipe.{key}")
            if value != wanted
        ]
    for precision in _values(runs, "precision"):
        if precision != "ieee":
            found.append(f"precision: {precision}; the paper's time knew float32 alone")
    return found + _warm_up(runs) + _networks(runs) + _variants(frame)


def open_points(frame: pd.DataFrame) -> list[str]:
    """What the paper leaves open and how the recipe settles it, a sentence each."""
    runs = select.subject(frame)
    return [
        f"{question}: {column} = {' or '.join(map(_words, _values(runs, column)))}"
        for column, question in paper.OPEN.items()
        if column != "network.zero_channels" or "A" in set(runs["shortcut"])
    ]


def _warm_up(runs: pd.DataFrame) -> list[str]:
    """Section 4.2: at depth 110, 0.01 until the training error is below 80%, else none."""
    found = []
    deep = runs["depth"] >= paper.WARMUP_DEPTH
    for is_deep, of_kind in runs.groupby(deep):
        for iterations in _values(of_kind, "recipe.warmup_iterations"):
            if is_deep and not iterations:
                found.append(f"no warm-up at {paper.WARMUP_DEPTH} layers or more")
            elif is_deep:
                rate = of_kind["recipe.warmup_learning_rate"].iloc[0]
                found.append(
                    f"warm-up: {iterations} iterations at {rate:g}, fixed; the paper's at 0.01"
                    " ends when the training error is below 80%, which plain-110 may never be"
                )
            elif iterations:
                found.append(f"warm-up of {iterations} iterations; the paper has none below 110")
    return found


def _networks(runs: pd.DataFrame) -> list[str]:
    found = [
        f"networks with option {option}: the paper has option A alone on {paper.DATASET}"
        for option in select.shortcuts(runs)
        if option not in ("none", "A")
    ]
    others = [str(depth) for depth in select.depths(runs) if depth not in paper.DEPTHS]
    return found + ([f"depths the paper has not: {', '.join(others)}"] if others else [])


def _variants(frame: pd.DataFrame) -> list[str]:
    names = dict.fromkeys(select.declared(frame)["variant"])
    names.pop("", None)
    return [f"experiments that are not the paper's: {', '.join(names)}"] if names else []


def _values(runs: pd.DataFrame, column: str) -> list[Any]:
    return [value for value in dict.fromkeys(runs[column].tolist()) if value == value]  # not NaN


def _words(value: Any) -> str:
    if isinstance(value, tuple):
        return ", ".join(f"{part:,}" for part in value) or "none"
    if isinstance(value, bool):
        return "yes" if value else "no"
    return f"{value:,g}" if isinstance(value, int | float) else str(value)
