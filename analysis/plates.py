"""All figures of a suite: which there are, which apply to the runs at hand, and what they say."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

import pandas as pd
from matplotlib.figure import Figure

from analysis import (
    convergence,
    degradation,
    figure6,
    figure7,
    learning_rates,
    load,
    named,
    select,
    sensitivity,
    shattered,
    shortcuts,
    signals,
    training_errors,
    vanishing,
    variants,
    witness,
    witness_figure,
)
from analysis.layers import Layers
from analysis.witness import Witnesses
from resnet_bench.experiments import SUITES_FOLDER, Suite, load_suite, suite_names


@dataclass(frozen=True)
class Plate:
    """A figure with the words that go with it."""

    name: str  # the file's, without suffix
    title: str
    caption: str
    draw: Callable[..., Figure]  # (data, columns=None)
    applies: Callable[[Any], bool] = select.has_own
    of: Literal["frame", "wider", "layers", "witnesses"] = "frame"  # the part of `Runs` drawn
    says: Callable[[Any], list[str]] = lambda data: []  # what it shows, a sentence each


PLATES = (
    Plate(
        "figure-6",
        "Error against iteration",
        "Figure 6 of the paper redrawn. Dashed: running training error; solid: test error. Lines"
        " are means over finished seeds, bands reach from the lowest to the highest seed; thin"
        " lines are runs that are partial or diverged (a cross marks where).",
        figure6.draw,
    ),
    Plate(
        "degradation",
        "Final error against depth",
        "At the last iteration, never the best. Dots are seeds, markers their means with"
        " Student's 95% interval.",
        degradation.draw,
    ),
    Plate(
        "training-errors",
        "Three training errors",
        "At the last iteration: the running error that the paper plots; in evaluation mode with"
        " batch norm's running statistics; and with statistics re-estimated on training images,"
        " the one that the verdict is about. Small dots are seeds, markers their means.",
        training_errors.draw,
        training_errors.applies,
        says=training_errors.sentences,
    ),
    Plate(
        "curves",
        "Curves and losses",
        "Left: running training error (dashed) and test error (solid); right: running training"
        " loss. Lines are means over finished seeds; thin lines are runs that are partial or"
        " diverged (a cross marks where).",
        named.draw,
        named.applies,
    ),
    Plate(
        "shortcuts",
        "The options compared",
        "Projections (B, C) less identity (A) at equal depth, paired by seed; below 0 is better"
        " than A. Means with Student's 95% interval.",
        shortcuts.draw,
        shortcuts.applies,
    ),
    Plate(
        "variants",
        "Variants beside their networks",
        "Final errors; a panel is what a variant differs in. Open markers are networks, filled ones"
        " their variants, both means over finished seeds; dots are the variants' seeds; a cross on"
        " the upper edge is a variant with a run that diverged.",
        variants.draw,
        variants.applies,
        says=variants.sentences,
    ),
    Plate(
        "convergence",
        "How long it takes",
        "Iterations until the running training error is first at or below 50, 20 and 10 per cent,"
        " counted in whole epochs; lines join medians over seeds.",
        convergence.draw,
    ),
    Plate(
        "budgets",
        "Slow, or stuck?",
        "The same experiment at several numbers of iterations: final errors, a line through the"
        " means over seeds.",
        sensitivity.draw_budgets,
        sensitivity.has_budgets,
        of="wider",
    ),
    Plate(
        "learning-rates",
        "Mistuned, or degraded?",
        "The same experiment at several learning rates: final errors, a line through the means"
        " over seeds. A ring is the rate with the lowest mean error on held-out training images,"
        " where there are any; a cross on the upper edge is a run that diverged.",
        learning_rates.draw,
        learning_rates.applies,
        says=learning_rates.sentences,
    ),
    Plate(
        "witness",
        "A good solution exists; does SGD stay at it?",
        "The witness is the shallow network with identity blocks appended: the same function, so"
        " the same training error, which SGD's deep network does not reach. Training error in"
        " evaluation mode with precise batch norm; of SGD's own network the running one, and at"
        " the end a dot a seed for the precise one. The witness is trained on at constant learning"
        " rates. Lines are medians over seeds, bands reach from the lowest to the highest.",
        witness_figure.draw,
        witness_figure.applies,
        of="witnesses",
        says=witness.sentences,
    ),
    Plate(
        "signals",
        "Do signals vanish?",
        "At initialisation, on one batch, by layer. Above: deviation of the activations that a"
        " block hands on; below: norm of the loss's gradient at each convolution's response. Lines"
        " are medians over seeds, bands reach from the lowest to the highest.",
        signals.draw,
        signals.applies,
        of="layers",
        says=vanishing.sentences,
    ),
    Plate(
        "signals-in-training",
        "What becomes of the signals",
        "The deepest networks at several iterations: deviation of each convolution's responses,"
        " norm of the gradient there, and by what part of its norm the next update would change"
        " the layer's weights. Lines are medians over seeds, bands reach from the lowest to the"
        " highest.",
        signals.draw_in_training,
        signals.applies_in_training,
        of="layers",
    ),
    Plate(
        "shattered-gradients",
        "Shattered gradients",
        "Balduzzi et al. 2017: the correlation of the gradients at an image and at its neighbour,"
        " a tenth of the way to another image, at initialisation; 1 for a linear network, 0 where"
        " the two say nothing about each other.",
        shattered.draw,
        shattered.applies,
        of="layers",
        says=shattered.sentences,
    ),
    Plate(
        "figure-7",
        "Responses of the layers",
        "Figure 7 of the paper redrawn: deviation of the response of each 3x3 layer (after batch"
        " norm, before ReLU and addition) at the last iteration that was measured; left in the"
        " layers' order, right sorted. Lines are medians over seeds, bands reach from the lowest"
        " to the highest. As in the paper without plain networks of 110 layers.",
        figure7.draw,
        figure7.applies,
        of="layers",
        says=figure7.sentences,
    ),
)


@dataclass(frozen=True)
class Runs:
    """The frames that a suite's figures are drawn from, as from `load.runs`."""

    frame: pd.DataFrame  # the suite's
    wider: pd.DataFrame  # the same, followed by its siblings'

    @cached_property
    def layers(self) -> Layers:
        return Layers.of(self.frame)

    @cached_property
    def witnesses(self) -> Witnesses:
        return Witnesses.of(self.frame)

    @classmethod
    def of(cls, results: Path, suite: str) -> "Runs":
        """Raises UserError if there is no such suite, or no run of it."""
        own = results / load_suite(suite).name
        frame = load.runs(own)
        siblings = sibling_folders(results, suite)
        return cls(frame, pd.concat([frame, load.runs(*siblings)]) if siblings else frame)

    def draw(self, every_seed: bool = False) -> list[tuple[Plate, Figure]]:
        """The figures that apply; `every_seed` is for figure 6."""
        extra = {figure6.draw: {"every_seed": every_seed}}
        return [
            (plate, plate.draw(data, **extra.get(plate.draw, {}))) for plate, data in self._own()
        ]

    def draw_narrow(self) -> list[Figure]:
        """The same with their panels below each other, for a phone."""
        return [plate.draw(data, columns=1) for plate, data in self._own()]

    def sentences(self) -> list[str]:
        """What the figures that apply say beside the finding."""
        return [sentence for plate, data in self._own() for sentence in plate.says(data)]

    def data_of(self, plate: Plate) -> Any:
        """What a figure is drawn from."""
        return getattr(self, plate.of)

    def _own(self) -> Iterator[tuple[Plate, Any]]:
        """The figures that apply, each with its data."""
        for plate in PLATES:
            data = self.data_of(plate)
            if plate.applies(data):
                yield plate, data


def sibling_folders(results: Path, name: str, suites: Path = SUITES_FOLDER) -> list[Path]:
    """The folders with runs of suites that differ from this one in their budget alone."""
    suite = load_suite(name, suites)
    return [
        results / other
        for other in suite_names(suites)
        if other != name
        and any((results / other).glob("*/seed-*/run.json"))
        and _apart_from_budget(load_suite(other, suites)) == _apart_from_budget(suite)
    ]


def _apart_from_budget(suite: Suite) -> set[str]:
    """The data sets and recipes of a suite's experiments, without what makes up a budget."""
    budget = {column.removeprefix("recipe.") for column in sensitivity.OF_THE_BUDGET}
    return {
        f"{experiment.dataset.name} {experiment.recipe.model_dump(exclude=budget)}"
        for experiment in suite.experiments
    }
