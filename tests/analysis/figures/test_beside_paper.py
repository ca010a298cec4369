"""Our errors beside the paper's: the plate of figure 6, and table 6 as a plot."""

from pathlib import Path

import numpy as np
import pytest

from analysis.fidelity import paper
from analysis.figures import beside_paper
from tests.support.results import frame_of


def test_only_the_papers_networks_and_data_are_beside_the_paper(tmp_path: Path) -> None:
    for suite, applies in (("cifar10", True), ("cifar10-short", True), ("digits", False)):
        assert beside_paper.applies(frame_of(tmp_path, suite)) == applies


@pytest.mark.parametrize(("suite", "same"), [("cifar10", True), ("cifar10-short", False)])
def test_the_plate_has_the_papers_axis_where_the_recipe_is_the_papers(
    tmp_path: Path, suite: str, same: bool
) -> None:
    theirs, ours, *residual = beside_paper.draw_plate(frame_of(tmp_path, suite)).axes
    assert theirs.get_ylim() == (0, 20)
    assert theirs.get_xlim() == (0, 64)
    assert (ours.get_ylim() == theirs.get_ylim()) == same
    levels = [np.asarray(line.get_ydata())[0] for line in theirs.get_lines()]
    assert 13.2 in np.round(levels, 3)  # plain-56's test error
    assert residual[1].get_title().endswith("residual, option A")


@pytest.mark.parametrize(("suite", "noted"), [("cifar10", False), ("cifar10-short", True)])
def test_table_6_has_a_star_for_each_network_of_the_papers(
    tmp_path: Path, suite: str, noted: bool
) -> None:
    frame = frame_of(tmp_path, suite)
    figure = beside_paper.draw_table6(frame)
    stars = [line for line in figure.axes[0].get_lines() if line.get_marker() == "*"]
    of_ours = set(zip(frame["shortcut"], frame["depth"], strict=True)) & set(paper.REFERENCES)
    drawn = sorted(float(np.asarray(star.get_ydata())[0]) for star in stars)
    errors = [paper.REFERENCES[network].test_error for network in of_ours]
    assert drawn == pytest.approx(sorted(100 * error for error in errors if error))
    notes = " ".join(text.get_text() for text in figure.texts).replace("\n", " ")
    assert ("Another recipe than the paper's: 2,000 iterations" in notes) == noted
