"""The share of the degradation that a treatment removes: numbers by hand, sentences, table."""

from pathlib import Path

import pandas as pd
import pytest

from analysis.cures import sentences
from analysis.cures.shares import Cures, Share
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


def cures_of(frame: pd.DataFrame) -> Cures:
    found = Cures.of(frame)
    assert found is not None
    return found


def share_of(frame: pd.DataFrame, label: str) -> Share:
    return next(share for share in cures_of(frame).shares if share.treatment.label == label)


def row_of(frame: pd.DataFrame, label: str) -> list[str]:
    return next(row for row in sentences.rows(cures_of(frame)) if row[0] == label)


def test_the_share_by_hand(frame: pd.DataFrame) -> None:
    """Control: 62% - 2%; mirrored: 4% - 1%, and 4% - 2% against the control's shallow network."""
    share = share_of(frame, "mirrored")
    assert (share.seeds, share.diverged, share.added_parameters) == (3, 0, 0)
    assert share.own.mean == pytest.approx(1 - 0.03 / 0.60)
    assert share.control.mean == pytest.approx(1 - 0.02 / 0.60)
    assert share.own.low < share.own.mean < share.own.high
    assert share_of(frame, "muon").own.mean == pytest.approx(1 - 0.90 / 0.60)  # makes it worse
    assert share_of(frame, "option A").own.mean == 1


def test_a_diverged_run_counts_with_the_error_of_guessing(frame: pd.DataFrame) -> None:
    lost = (frame["network"] == "plain-56-mirrored") & (frame["seed"] == 2)
    frame.loc[lost, "status"] = "diverged"
    share = share_of(frame, "mirrored")
    assert (share.seeds, share.diverged) == (3, 1)
    assert share.deep_error == pytest.approx((0.04 + 0.04 + 0.9) / 3)
    assert row_of(frame, "mirrored")[2] == "3 (1 diverged)"


def test_in_words_the_best_first(frame: pd.DataFrame) -> None:
    cures = cures_of(frame)
    ranks = [share.rank for share in cures.shares]
    assert ranks == sorted(ranks, reverse=True)
    header, *rows = sentences.rows(cures)
    assert len(rows) == 18 + 1  # the treatments of the suite, and option A
    assert all(len(row) == len(header) for row in rows)
    assert row_of(frame, "option A")[1:5] == ["A", "3", "1.00", "1.00"]
    assert rows[-1][0] == "muon"
    assert rows[-1][5].startswith("-50% (")
    mirrored = row_of(frame, "mirrored")
    assert mirrored[3:5] == ["1.00", "4.00"]
    assert (mirrored[5][:7], mirrored[6][:7]) == ("95.0% (", "96.7% (")


def test_one_seed_has_no_interval(tmp_path: Path) -> None:
    assert "(" not in row_of(frame_of(tmp_path, "digits-cures"), "mirrored")[5]


def test_the_sentence_counts_the_seeds_of_the_errors_that_it_names(frame: pd.DataFrame) -> None:
    unfinished = (frame["network"] == "resnet-56-A") & (frame["seed"] == 2)
    (sentence,) = sentences.of_depth(cures_of(frame[~unfinished]))
    assert "(2 to 3 seeds)" in sentence


def test_a_suite_without_cures_has_no_shares(tmp_path: Path) -> None:
    found = Cures.of(frame_of(tmp_path, "digits-variants"))
    assert found is None
    assert not sentences.best(found)
    assert not sentences.rows(found)


def test_a_treatment_that_spoils_both_networks_is_not_the_best(frame: pd.DataFrame) -> None:
    """79% and 82%: hardly any degradation of its own, and no cure."""
    for network, error in (("plain-20-dirac", 0.79), ("plain-56-dirac", 0.82)):
        last = (frame["network"] == network) & (frame["iteration"] == END)
        frame.loc[last, contrasts.ENDPOINT] = error
    spoilt = share_of(frame, "dirac")
    assert spoilt.own.mean == pytest.approx(0.95)
    assert spoilt.rank == spoilt.control.mean == pytest.approx(1 - 0.80 / 0.60)
    (sentence,) = sentences.best(cures_of(frame))
    assert "The cure mirrored removes 95.0%" in sentence
    assert "in place of its own, 96.7% (" in sentence
