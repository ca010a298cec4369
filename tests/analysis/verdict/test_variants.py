"""Variants beside the networks that they differ from in one field: what the sentences say."""

from pathlib import Path

import pandas as pd
import pytest

from analysis.verdict import contrasts, variants
from tests.support.results import END, Options, frame_of

ERRORS: dict[str, tuple[float, ...]] = {  # final precise training errors of seeds 0, 1, 2
    "plain-20-bottleneck": (0.05, 0.05, 0.05),
    "plain-56-bottleneck": (0.65, 0.65, 0.65),
    "resnet-20-A": (0.01, 0.01, 0.01),
    "resnet-20-A-bottleneck": (0.02, 0.02, 0.02),
    "resnet-56-A-bottleneck": (0.04, 0.05, 0.06),
}


@pytest.fixture(scope="module")
def frame(tmp_path_factory: pytest.TempPathFactory) -> pd.DataFrame:
    folder = tmp_path_factory.mktemp("results")
    found = frame_of(folder, "digits-variants", Options(seeds=(0, 1, 2)))
    for network, of_seeds in ERRORS.items():
        for seed, error in enumerate(of_seeds):
            last = (found["network"] == network) & (found["iteration"] == END)
            found.loc[last & (found["seed"] == seed), contrasts.ENDPOINT] = error
    return found


def test_each_variant_is_held_against_the_network_it_is_like(frame: pd.DataFrame) -> None:
    by_name = variants.differences(frame, contrasts.ENDPOINT).set_index("network")
    bottleneck = by_name.loc["resnet-20-A-bottleneck"]
    assert (bottleneck["base"], bottleneck["differs"]) == ("resnet-20-A", "block: bottleneck")
    assert bottleneck["difference"] == pytest.approx(0.01)
    assert bottleneck["n"] == 3


def test_in_words_with_what_depth_does_to_the_variants_themselves(frame: pd.DataFrame) -> None:
    sentence = next(s for s in variants.sentences(frame) if s.startswith("With block: bottleneck"))
    assert "resnet-20-A +1.00 (to 2.00%)" in sentence
    assert sentence.endswith(
        " From 20 to 56 layers it then changes: plain (+60.00 points, +59.84 to +60.16, 3 seeds),"
        " option A (+3.00 points, +0.53 to +5.47, 3 seeds); unadjusted 95% intervals, no verdict."
    )


def test_in_words_what_diverged_is_not_passed_over(frame: pd.DataFrame) -> None:
    ends = {"plain-56-bottleneck": (0,), "resnet-56-A-bottleneck": (0, 1, 2)}
    for network, seeds in ends.items():
        lost = (frame["network"] == network) & frame["seed"].isin(seeds)
        frame.loc[lost, "status"] = "diverged"
    sentence = next(s for s in variants.sentences(frame) if s.startswith("With block: bottleneck"))
    assert "and mean over 3 seeds: " in sentence
    assert "; 2 of 3 seeds, 1 run diverged), " in sentence
    assert "resnet-56-A not comparable (3 runs diverged)." in sentence
    assert "3 seeds; 1 of 3 plain-56 diverged, which counts as guessing), option A" in sentence


def test_without_a_second_depth_or_seed_nothing_is_said_of_depth(frame: pd.DataFrame) -> None:
    no_pair = frame[(frame["network"] != "resnet-56-A-zero-scale") & (frame["seed"] == 0)]
    assert not any("From" in sentence for sentence in variants.sentences(no_pair))
    shallow = frame[frame["network"] != "resnet-56-A-zero-scale"]
    zero = next(s for s in variants.sentences(shallow) if s.startswith("With last_scale: zero"))
    assert "From" not in zero


def test_the_results_of_a_suite_without_variants(tmp_path: Path) -> None:
    plain = frame_of(tmp_path, "digits")
    assert not variants.applies(plain)
