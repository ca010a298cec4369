"""The figures of cures: which networks they show, and what they say."""

import itertools
import shutil
from pathlib import Path

import pytest

from analysis.cures import at_start, sentences
from analysis.cures import figure as cures_figure
from analysis.frames.layers import Layers
from analysis.results import SuiteResults
from tests.support.layers import write_layers
from tests.support.results import Options, write_suite


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> SuiteResults:
    folder = tmp_path_factory.mktemp("results")
    options = Options(seeds=(0, 1))
    write_suite(folder, "digits-cures", options)
    return SuiteResults.of(folder, "digits-cures")


def test_the_figures_apply_to_suites_with_cures(results: SuiteResults, tmp_path: Path) -> None:
    names = {spec.name for spec, _ in results.figure_specs()}
    assert {"cures-depth", "cures"} <= names
    assert "variants" not in names
    write_suite(tmp_path, "digits-variants")
    others = {spec.name for spec, _ in SuiteResults.of(tmp_path, "digits-variants").figure_specs()}
    assert not {name for name in others if name.startswith("cures")}


def test_the_lines_are_the_control_its_best_cure_and_residual_networks(
    results: SuiteResults,
) -> None:
    assert results.cures is not None
    assert results.cures.best is not None
    lines = sentences.lines(results.cures)
    label = results.cures.best.treatment.label
    assert list(lines) == ["plain", f"plain with {label}", "residual (option A)"]
    assert lines["plain"] == {20: "plain-20", 56: "plain-56"}
    figure = cures_figure.draw_depth(results.cures)
    (axes,) = figure.axes
    assert [line.get_label() for line in axes.lines] == list(lines)


def test_networks_without_a_run_have_no_line_in_the_legend(tmp_path: Path) -> None:
    write_suite(tmp_path, "digits-cures", Options(seeds=(0,)))
    for folder in (tmp_path / "digits-cures").glob("resnet-*"):
        shutil.rmtree(folder)
    found = SuiteResults.of(tmp_path, "digits-cures").cures
    assert found is not None
    (axes,) = cures_figure.draw_depth(found).axes
    labels = [str(line.get_label()) for line in axes.lines]
    assert len(labels) == 2
    assert all(label.startswith("plain") for label in labels)


def test_a_row_for_each_treatment_the_best_at_the_top(results: SuiteResults) -> None:
    found = results.cures
    assert found is not None
    (axes,) = cures_figure.draw_shares(found).axes
    labels = [label.get_text() for label in axes.get_yticklabels()]
    assert len(labels) == len(found.shares) == 19
    assert labels[-1].endswith(found.shares[0].treatment.label)


def test_in_a_sentence_with_spread_seeds_and_budget(results: SuiteResults) -> None:
    assert results.cures is not None
    (sentence,) = sentences.of_depth(results.cures)
    assert sentence.startswith("After 360 iterations on digits, training errors at 56 layers are:")
    assert "plain 6" in sentence
    assert "(2 seeds). The cure " in sentence


def test_states_at_initialisation_are_beside_final_errors(tmp_path: Path) -> None:
    networks = ("plain-20", "plain-56", "resnet-56-A", "plain-56-mirrored", "plain-56-muon")
    write_suite(tmp_path, "digits-cures")
    write_layers(tmp_path, "digits-cures", networks=networks)
    data = Layers.of(SuiteResults.of(tmp_path, "digits-cures").frame)
    table = at_start.states(data)
    measured = table.dropna(subset=["growth"])
    assert set(measured["network"]) == set(networks)
    growth = measured.set_index("network")["growth"]
    assert growth["plain-56"] == pytest.approx(2)
    assert growth["resnet-56-A"] == pytest.approx(1)
    panels = at_start.draw(data).axes
    assert len(panels) == 3
    assert {text.get_text() for text in panels[0].texts} == set(networks) - {"plain-20"}
    for axes in panels:
        boxes = [text.get_window_extent() for text in axes.texts]
        assert not any(one.overlaps(other) for one, other in itertools.combinations(boxes, 2))
    (sentence,) = at_start.sentences(data)
    assert sentence.startswith("Spearman's correlation with the final training error: growth of")
