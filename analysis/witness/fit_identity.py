"""Can a few layers fit the identity? The error of blocks trained to hand on what they get."""

import argparse
from pathlib import Path

import pandas as pd
from matplotlib.figure import Figure

from analysis.plotting import layout, markers, style
from resnet_bench.errors import UserError
from resnet_bench.records.files import write_atomically

NAME = "fit-identity"
LOWEST = 1e-4  # of the axis: below it a block is the identity for all that a figure can show


def read(results: Path) -> pd.DataFrame:
    """The rows of `python -m resnet_bench.witness.fit_identity`; UserError where there are none."""
    path = results / f"{NAME}.csv"
    if not path.exists():
        raise UserError(f"no {path}: python -m resnet_bench.witness.fit_identity writes it")
    return pd.read_csv(path, keep_default_na=False)


def draw(table: pd.DataFrame) -> Figure:
    """The missing share of the maps' variance by iteration: a panel a family, a colour a depth."""
    blocks = sorted(table["blocks"].unique())
    colours = dict(zip(blocks, style.shades(len(blocks)), strict=True))
    families = [kind for kind in style.NAMES if kind in set(table["shortcut"])]
    with style.theme():
        figure, panels = layout.panels(len(families), 4.4, 3.4)
        for axes, shortcut in zip(panels, families, strict=True):
            of_kind = table[table["shortcut"] == shortcut]
            for count, colour in colours.items():
                errors = of_kind[of_kind["blocks"] == count].groupby("iteration")["error"]
                style.draw_band(axes, errors.agg(["median", "min", "max"]), colour)
            axes.set(title=style.NAMES[shortcut], xlabel="iteration", yscale="log")
            axes.set(ylabel="error (1: a constant; 0: the identity)", xlim=(0, None))
        low = max(LOWEST, min(axes.get_ylim()[0] for axes in panels))
        high = max(axes.get_ylim()[1] for axes in panels)
        for axes in panels:
            axes.set_ylim(low, high)
        labels = {f"{2 * count} layers": colour for count, colour in colours.items()}
        note = f"The axis ends at an error of {LOWEST:g}."
        layout.write_around(figure, markers.line_legend(labels), [note])
    return figure


def sentence(table: pd.DataFrame) -> str:
    """The errors at the end, medians over seeds."""
    ends = table[table["iteration"] == table["iteration"].max()]
    medians = ends.groupby(["shortcut", "blocks"])["error"].median()
    parts = [
        f"{name} " + ", ".join(f"{medians[kind, blocks]:.2g}" for blocks in medians[kind].index)
        for kind, name in style.NAMES.items()
        if kind in medians.index
    ]
    layers = ", ".join(str(2 * blocks) for blocks in sorted(ends["blocks"].unique()))
    return (
        f"After {ends['iteration'].max():,} iterations blocks of {layers} layers miss the identity"
        f" by this share of the maps' variance (medians of {ends['seed'].nunique()} seeds):"
        f" {'; '.join(parts)}."
    )


def main() -> None:
    """`python -m analysis.witness.fit_identity`: the figure beside fit-identity.csv."""
    parser = argparse.ArgumentParser("python -m analysis.witness.fit_identity")
    parser.add_argument("--results", type=Path, default=Path("results"))
    results = parser.parse_args().results
    table = read(results)
    write_atomically(results / f"{NAME}.png", style.as_png(draw(table), 150))
    print(results / f"{NAME}.png", sentence(table), sep="\n")


if __name__ == "__main__":
    main()
