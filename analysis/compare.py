"""Final errors of two suites' folders side by side: two suites, or the same suite trained twice."""

import argparse
from pathlib import Path
from typing import Any

import pandas as pd

from analysis import command, formatting, load
from analysis.fidelity import table6


def rows(first: pd.DataFrame, second: pd.DataFrame) -> list[list[str]]:
    """A header and a row a network of either; frames as from `load.runs`.

    Errors are per cent, mean ± standard deviation over seeds; differences are the second's mean
    less the first's, in points.
    """
    one, other = (table6.final_errors(frame).set_index("network") for frame in (first, second))
    found = []
    for network in dict.fromkeys([*one.index, *other.index]):
        cells = {"network": network}
        for name, errors in (("A", one), ("B", other)):
            if network in errors.index:
                cells |= _cells(name, errors.loc[network])
        for what in ("train", "test"):
            if network in one.index and network in other.index:
                means = (errors.loc[network, f"{what}_mean"] for errors in (other, one))
                cells[f"{what} B - A"] = _difference(*means)
        found.append(cells)
    return formatting.table(found)


def _cells(name: str, errors: "pd.Series[Any]") -> dict[str, str]:
    """One side's cells."""
    return {f"n {name}": str(errors["n"])} | {
        f"{what} {name} %": formatting.mean_and_deviation(
            errors[f"{what}_mean"], errors[f"{what}_deviation"]
        )
        for what in ("train", "test")
    }


def _difference(second: float, first: float) -> str:
    return "" if pd.isna(second - first) else formatting.points(second - first)


def main() -> int:
    """`python -m analysis.compare results/digits results/reference/digits`"""
    arguments = argparse.ArgumentParser("python -m analysis.compare", description=__doc__)
    arguments.add_argument("a", type=Path, help="a suite's folder, such as results/digits")
    arguments.add_argument("b", type=Path, help="another")
    given = arguments.parse_args()
    print(f"A: {given.a}\nB: {given.b}\n")
    print(formatting.as_text(rows(load.runs(given.a), load.runs(given.b))))
    return 0


if __name__ == "__main__":
    command.run(main)
