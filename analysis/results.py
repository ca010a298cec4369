"""All results of a suite, and the figures that apply to them."""

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import pandas as pd
from matplotlib.figure import Figure

from analysis import catalogue, load
from analysis.cures.shares import Cures
from analysis.figures import budgets, figure6
from analysis.frames import notices, select
from analysis.frames.layers import Layers
from analysis.frames.witnesses import Witnesses
from analysis.plotting.figure_spec import FigureSpec
from resnet_bench.errors import UserError
from resnet_bench.records.files import find_paths
from resnet_bench.suites.suite import Suite, load_suite, suite_names


@dataclass(frozen=True)
class SuiteResults:
    """The data of a suite's figures."""

    frame: pd.DataFrame  # as from `load.runs`
    wider: pd.DataFrame  # its last records, followed by those of `sibling_folders`

    @cached_property
    def finals(self) -> pd.DataFrame:
        """The last records: a hundredth of a long run's, and enough for most."""
        return select.finals(self.frame)

    @cached_property
    def layers(self) -> Layers:
        return Layers.of(self.frame)

    @cached_property
    def cures(self) -> Cures | None:
        return Cures.of(self.finals)

    @cached_property
    def witnesses(self) -> Witnesses:
        return Witnesses.of(self.frame)

    @classmethod
    def of(cls, results: Path, suite: str) -> "SuiteResults":
        """Those in the folder `results`. Raises UserError for a suite unknown or without runs."""
        frame = load.runs(results / load_suite(suite).name)
        siblings = sibling_folders(results, suite)
        folders = [frame, load.runs(*siblings)] if siblings else [frame]
        return cls(frame, pd.concat(map(select.finals, folders)))

    def draw(self, every_seed: bool = False) -> list[tuple[FigureSpec, Figure]]:
        """The figures that apply; `every_seed` is for figure 6."""
        extra = {figure6.draw: {"every_seed": every_seed}}
        return [
            (figure_spec, figure_spec.draw(data, **extra.get(figure_spec.draw, {})))
            for figure_spec, data in self.figure_specs()
        ]

    def notices(self) -> list[str]:
        """A sentence for each kind of problem with runs and witnesses."""
        return notices.of_runs(self.finals) + self.witnesses.problems

    def figure_spec(self, name: str) -> tuple[FigureSpec, Any]:
        """The figure called `name`, and its data. Raises UserError if these runs have none."""
        for figure_spec, data in self.figure_specs():
            if figure_spec.name == name:
                return figure_spec, data
        suite = self.frame["suite"].iloc[0]
        raise UserError(f"{suite} has no figure {name!r}")

    def figure(self, name: str) -> Figure:
        """The figure called `name`, for a notebook. Raises UserError as `figure_spec` does."""
        figure_spec, data = self.figure_spec(name)
        return figure_spec.draw(data)

    def says(self, name: str) -> str:
        """The sentences of the figure called `name`. Raises UserError as `figure_spec` does."""
        figure_spec, data = self.figure_spec(name)
        return "\n\n".join(figure_spec.sentences(data))

    def sentences(self) -> list[str]:
        """The sentences of the figures that apply."""
        return [
            sentence
            for figure_spec, data in self.figure_specs()
            for sentence in figure_spec.sentences(data)
        ]

    def data_of(self, figure_spec: FigureSpec) -> Any:
        """The data of a figure: a field of this class."""
        return getattr(self, figure_spec.data)

    def figure_specs(self) -> Iterator[tuple[FigureSpec, Any]]:
        """The figures that apply, each with its data."""
        for figure_spec in catalogue.FIGURES:
            data = self.data_of(figure_spec)
            if figure_spec.applies(data):
                yield figure_spec, data


def sibling_folders(results: Path, name: str, suites: Path | None = None) -> list[Path]:
    """The folders with runs of those suites that differ from this one in their budget alone."""
    wanted = _apart_from_budget(load_suite(name, suites))
    found = []
    for other in suite_names(suites):
        if other == name or not find_paths(results / other, "*/seed-*/run.json"):
            continue
        with suppress(UserError):  # an invalid file of another suite does not affect this one
            if _apart_from_budget(load_suite(other, suites)) == wanted:
                found.append(results / other)
    return found


def _apart_from_budget(suite: Suite) -> set[str]:
    """The data sets and recipes of a suite's experiments, without the fields of the budget."""
    budget = {column.removeprefix("recipe.") for column in budgets.OF_THE_BUDGET}
    return {
        f"{experiment.dataset.name} {experiment.recipe.model_dump(exclude=budget)}"
        f" {budgets.drop_fractions(experiment.recipe.drops, experiment.recipe.iterations)}"
        for experiment in suite.experiments
    }
