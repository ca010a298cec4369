"""Where a suite departs from the paper, and how it settles what the paper leaves open.

Derived from the recipe that the runs were made with, so that it cannot get out of date.
"""

from collections.abc import Iterable
from typing import Any

import pandas as pd

from analysis.fidelity import paper
from analysis.formatting import listed, setting
from analysis.frames import select


def from_paper(frame: pd.DataFrame) -> list[str]:
    """Every difference from section 4.2, a sentence each; `frame` as from `load.runs`."""
    runs = select.main_networks(frame)
    precisions = [
        f"precision: {precision}; the paper's time knew float32 alone"
        for precision in _values(runs, "precision")
        if precision != "ieee"
    ]
    return [*_fixed(runs), *precisions, *_warm_ups(runs), *_networks(runs), *_variants(frame)]


def compares(runs: pd.DataFrame) -> bool:
    """Whether the errors of a network's runs compare with the paper's; rows as from `load.runs`.

    True if they agree with all that section 4.2 fixes, apart from precision and the fixed length
    of the warm-up at depth 110 (the paper's ends at a training error that plain-110 may not reach).
    """
    return not _fixed(runs) and all(_warm_ups(runs).values())


def open_points(frame: pd.DataFrame) -> list[str]:
    """What the paper leaves open and how the recipe settles it, a sentence each."""
    runs = select.main_networks(frame)
    found = []
    for column, question in paper.OPEN.items():
        readings = paper.READINGS.get(column)  # other values deviate from the paper
        settled = [one for one in _values(runs, column) if readings is None or one in readings]
        if settled and (column != "network.zero_channels" or "A" in set(runs["shortcut"])):
            found.append(f"{question}: {column} = {_either(settled)}")
    return found


def _fixed(runs: pd.DataFrame) -> list[str]:
    """The settings that section 4.2 fixes and that these runs change, without the warm-up."""
    architectures = [
        f"architecture: {architecture}, table 1's for ImageNet; section 4.2's is"
        f" {paper.ARCHITECTURE}"
        for architecture in _values(runs, "network.architecture")
        if architecture != paper.ARCHITECTURE
    ]
    datasets = [
        f"data set: {dataset}, the paper's is {paper.DATASET}"
        for dataset in _values(runs, "dataset")
        if dataset != paper.DATASET
    ]
    own = runs[runs["network.architecture"] == paper.ARCHITECTURE]
    settings = [
        f"{column.partition('.')[2]}: {setting(value)}, the paper's is {_either(wanted)}"
        for column, wanted in _wanted().items()
        for value in _values(own if column.startswith("network.") else runs, column)
        if value not in wanted
    ]
    return datasets + architectures + settings


def _wanted() -> dict[str, tuple[Any, ...]]:
    """The paper's values of each column of recipe and network."""
    recipe = {f"recipe.{key}": (value,) for key, value in paper.RECIPE.items()}
    return recipe | paper.READINGS | {f"network.{k}": (v,) for k, v in paper.NETWORK.items()}


def _warm_ups(runs: pd.DataFrame) -> dict[str, bool]:
    """Differences from section 4.2's warm-up: sentence -> whether only in its fixed length.

    The paper's: at depth 110, 0.01 until the training error is below 80%; else none.
    """
    found = {}
    deep = runs["depth"] >= paper.WARMUP_DEPTH
    deep &= runs["network.architecture"] == paper.ARCHITECTURE
    columns = ["recipe.warmup_iterations", "recipe.warmup_learning_rate"]
    for is_deep, of_kind in runs.groupby(deep):
        for iterations, rate in of_kind[columns].drop_duplicates().itertuples(index=False):
            if is_deep and not iterations:
                found[f"no warm-up at {paper.WARMUP_DEPTH} layers or more"] = False
            elif is_deep:
                words = (
                    f"warm-up: {iterations} iterations at {rate:g}, fixed; the paper's at 0.01"
                    " ends when the training error is below 80%, which plain-110 may never be"
                )
                found[words] = (iterations, rate) == paper.WARMUP
            elif iterations:
                words = f"warm-up of {iterations} iterations; the paper has none below 110"
                found[words] = False
    return found


def _networks(runs: pd.DataFrame) -> list[str]:
    """Shortcuts and depths that the paper does not train, for either architecture."""
    found = []
    for architecture, networks in runs.groupby("network.architecture", sort=False):
        name = str(architecture)
        found += [
            f"networks with option {option}: the paper has {paper.OPTIONS[name]}"
            for option in select.shortcuts(networks)
            if option not in paper.SHORTCUTS[name]
        ]
        others = [str(n) for n in select.depths(networks) if n not in paper.DEPTHS[name]]
        found += [f"depths the paper has not: {', '.join(others)}"] if others else []
    return found


def _variants(frame: pd.DataFrame) -> list[str]:
    names = dict.fromkeys(select.declared(frame)["variant"])
    names.pop("", None)
    return [f"experiments that are not the paper's: {', '.join(names)}"] if names else []


def _values(runs: pd.DataFrame, column: str) -> list[Any]:
    return [value for value in dict.fromkeys(runs[column].tolist()) if value == value]  # not NaN


def _either(values: Iterable[Any]) -> str:
    return listed(map(setting, values), "or")
