"""The share of the degradation that a treatment removes: numbers by hand, sentences, table."""

import re
from pathlib import Path

import pandas as pd
import pytest

from analysis.cures import figure, sentences, shares
from analysis.cures.shares import Cures
from analysis.verdict import contrasts
from tests.support.results import END, Options, frame_of

ERRORS: dict[str, tuple[float, ...]] = {  # final precise training errors of seeds 0, 1, 2
    "plain-20": (0.02, 0.02, 0.02),
    "plain-56": (0.60, 0.62, 0.64),
    "plain-20-mirrored": (0.01, 0.01, 0.01),
    "plain-56-mirrored": (0.04, 0.04, 0.04),
    "plain-20-muon": (0.02, 0.02, 0.02),
    "plain-56-muon": (0.92, 0.92, 0.92),
    "resnet-20-A": (0.01, 0.01, 0.01),
    "resnet-56-A": (0.01, 0.01, 0.01),
}


@pytest.fixture
def frame(tmp_path: Path) -> pd.DataFrame:
    found = frame_of(tmp_path, "digits-cures", Options(seeds=(0, 1, 2)))
    for network, of_seeds in ERRORS.items():
        for seed, error in enumerate(of_seeds):
            last = (found["network"] == network) & (found["iteration"] == END)
            found.loc[last & (found["seed"] == seed), contrasts.ENDPOINT] = error
    return found


def share_of(frame: pd.DataFrame, label: str) -> shares.Share:
    found = Cures.of(frame)
    assert found is not None
    return next(share for share in found.shares if share.treatment.label == label)


def test_the_share_by_hand(frame: pd.DataFrame) -> None:
    """Control: 62% - 2%; mirrored: 4% - 1%, and 4% - 2% against the control's shallow network."""
    share = share_of(frame, "mirrored")
    assert (share.seeds, share.diverged, share.added_parameters) == (3, 0, 0)
    assert share.removed == pytest.approx(1 - 0.03 / 0.60)
    assert share.against_control == pytest.approx(1 - 0.02 / 0.60)
    assert share.interval is not None
    assert share.interval.low < share.removed < share.interval.high
    assert share_of(frame, "muon").removed == pytest.approx(1 - 0.90 / 0.60)  # makes it worse
    assert share_of(frame, "option A").removed == 1


def test_a_diverged_run_counts_with_the_error_of_guessing(frame: pd.DataFrame) -> None:
    lost = (frame["network"] == "plain-56-mirrored") & (frame["seed"] == 2)
    frame.loc[lost, "status"] = "diverged"
    share = share_of(frame, "mirrored")
    assert (share.seeds, share.diverged) == (3, 1)
    assert share.deep_error == pytest.approx((0.04 + 0.04 + 0.9) / 3)
    sentence = next(s for s in sentences.sentences(frame) if s.startswith("mirrored (plain"))
    assert "3 seeds, 1 run diverged" in sentence


def test_in_words_the_best_first(frame: pd.DataFrame) -> None:
    start, *found = sentences.sentences(frame)
    both = [re.findall(r"(-?\d+)%(?: \(\S+ to \S+\))? (?:of|against)", s) for s in found]
    smaller = [min(map(int, shares)) for shares in both]
    assert smaller == sorted(smaller, reverse=True)
    first, last = next(s for s in found if s.startswith("option A")), found[-1]
    assert "From 20 to 56 layers the training error of the plain control changes by +60.00" in start
    assert first.startswith("option A (residual networks) removes 100% (100 to 100) of the degrad")
    assert last.startswith("muon (plain networks) removes -50% (")
    mirrored = next(s for s in sentences.sentences(frame) if s.startswith("mirrored (plain"))
    assert "removes 95% (" in mirrored
    assert "and 97% (" in mirrored
    assert "final training errors 1.00% and 4.00%" in mirrored
    table = sentences.rows(frame)
    assert len(table) == 1 + 18 + 1  # the treatments of the suite, and option A
    assert ["option A", "A", "3"] in [row[:3] for row in table]


def test_one_seed_has_no_interval(tmp_path: Path) -> None:
    found = frame_of(tmp_path, "digits-cures")
    sentence = next(s for s in sentences.sentences(found) if s.startswith("mirrored (plain"))
    assert "% of the degradation" in sentence
    assert "to" not in sentence.partition("removes ")[2].partition(" of")[0]


def test_a_suite_without_cures_has_no_shares(tmp_path: Path) -> None:
    found = frame_of(tmp_path, "digits-variants")
    assert not shares.applies(found)
    assert sentences.sentences(found) == []
    assert len(sentences.rows(found)) == 1


def test_a_treatment_that_spoils_both_networks_is_not_the_best(frame: pd.DataFrame) -> None:
    """79% and 82%: hardly any degradation of its own, and no cure."""
    for network, error in (("plain-20-dirac", 0.79), ("plain-56-dirac", 0.82)):
        last = (frame["network"] == network) & (frame["iteration"] == END)
        frame.loc[last, contrasts.ENDPOINT] = error
    spoilt = share_of(frame, "dirac")
    assert spoilt.removed == pytest.approx(0.95)
    assert spoilt.rank == spoilt.against_control == pytest.approx(1 - 0.80 / 0.60)
    (sentence,) = figure.depth_sentences(frame)
    assert "The cure mirrored removes 95%" in sentence
    assert "97% (" in sentence
