"""The verdict: contrasts paired by seed, its words, and what keeps it from being given."""

import json
import math
import sys
from pathlib import Path

import pandas as pd
import pytest

from analysis import command, formatting, load
from analysis.verdict import __main__ as verdict_command
from analysis.verdict import contrasts, finding, verdict
from analysis.verdict.statistics import Interval
from tests.support.results import END, Options, frame_of, write_suite

ERRORS: dict[str, tuple[float, ...]] = {  # final precise training errors of seeds 0, 1, 2
    "plain-20": (0.01, 0.01, 0.01),
    "plain-56": (0.61, 0.63, 0.62),
    "resnet-20-A": (0.005, 0.005, 0.005),
    "resnet-56-A": (0.005, 0.006, 0.004),
}


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("results")
    write_suite(folder, "digits", Options(seeds=(0, 1, 2)))
    write_suite(folder, "cifar10-short")
    return folder


def with_errors(frame: pd.DataFrame, errors: dict[str, tuple[float, ...]]) -> pd.DataFrame:
    for network, of_seeds in errors.items():
        for seed, error in enumerate(of_seeds):
            run = (frame["network"] == network) & (frame["seed"] == seed)
            frame.loc[run & (frame["iteration"] == END), contrasts.ENDPOINT] = error
    return frame


def run(monkeypatch: pytest.MonkeyPatch, *arguments: str) -> int:
    monkeypatch.setattr(sys, "argv", ["analysis.verdict", *arguments])
    with pytest.raises(SystemExit) as exit_:
        command.run(verdict_command.main)
    return int(str(exit_.value.code))


def test_three_contrasts_by_hand(results: Path) -> None:
    plain, residual, difference = contrasts.primary(
        with_errors(load.runs(results / "digits"), ERRORS)
    )
    assert plain.values == pytest.approx((0.60, 0.62, 0.61))
    assert residual.values == pytest.approx((0.0, 0.001, -0.001), abs=1e-12)
    assert difference.values == pytest.approx((0.60, 0.619, 0.611))
    assert [contrast.n for contrast in (plain, residual, difference)] == [3, 3, 3]
    assert plain.interval is not None
    assert residual.interval is not None
    assert difference.interval is not None
    # t = 0.61 / (0.01 / sqrt(3)) = 105.7 against 0.61 / (0.0095 / sqrt(3)) = 110.9
    assert difference.interval.level == pytest.approx(1 - 0.05 / 3)
    assert plain.interval.level == pytest.approx(1 - 0.05 / 2)
    assert residual.interval.level == pytest.approx(0.95)
    assert residual.interval.high == pytest.approx(4.302653 * 0.001 / math.sqrt(3), rel=1e-6)
    words = [contrast.word for contrast in (plain, residual, difference)]
    assert words == ["degrades", "does not degrade", "positive"]
    assert verdict.holds([plain, residual, difference])


def test_pairing_takes_out_what_the_seeds_share(results: Path) -> None:
    """Seeds that shift both depths alike leave the differences as they are."""
    shift = (0.0, 0.1, -0.003)
    shifted = {
        network: tuple(error + by for error, by in zip(errors, shift, strict=True))
        for network, errors in ERRORS.items()
    }
    frame = load.runs(results / "digits")
    before = contrasts.primary(with_errors(frame, ERRORS))
    after = contrasts.primary(with_errors(frame, shifted))
    for one, other in zip(before, after, strict=True):
        assert one.values == pytest.approx(other.values)


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"resnet-56-A": (0.005, 0.02, 0.0)}, ["degrades", "undecided", "positive"]),
        ({"resnet-56-A": (0.11, 0.112, 0.111)}, ["degrades", "degrades", "positive"]),
        ({"plain-56": (0.01, 0.0101, 0.0099)}, ["does not degrade", "does not degrade"]),
    ],
)
def test_other_outcomes_have_other_words(
    results: Path, changed: dict[str, tuple[float, ...]], words: list[str]
) -> None:
    found = contrasts.primary(with_errors(load.runs(results / "digits"), ERRORS | changed))
    assert [contrast.word for contrast in found][: len(words)] == words
    assert not verdict.holds(found)


def test_the_secondary_contrasts_carry_no_words(results: Path) -> None:
    found = contrasts.secondary(load.runs(results / "digits"))
    assert {contrast.word for contrast in found} == {"undecided"}
    assert not any(contrast.primary for contrast in found)
    names = {(contrast.name, contrast.endpoint) for contrast in found}
    assert ("plain: 44 - 20", contrasts.ENDPOINT) in names
    assert ("option B: 56 - 20", contrasts.ENDPOINT) in names
    assert ("plain: 56 - 20", "test_error") in names
    assert ("plain: 56 - 20", contrasts.ENDPOINT) not in names


def test_seeds_that_agree_to_the_image_are_no_certainty(results: Path) -> None:
    """Three differences of four images each, of 1,437: t = 4 sqrt(3) if one image is the spread."""
    errors = ERRORS | {"plain-56": (0.01 + 4 / 1437,) * 3}
    plain = contrasts.primary(with_errors(load.runs(results / "digits"), errors))[0]
    t = 4 * math.sqrt(3)
    assert plain.p_value == pytest.approx(1 - t / math.sqrt(2 + t * t))
    assert plain.interval is not None
    assert plain.interval.low < 4 / 1437 < plain.interval.high
    two = with_errors(load.runs(results / "digits"), errors)
    plain, residual, _ = contrasts.primary(two[two["seed"] < 2])
    assert (plain.word, residual.word) == ("undecided", "undecided")


def test_one_image_is_that_of_the_set_that_is_measured_on(results: Path) -> None:
    frame = load.runs(results / "digits")
    assert contrasts.primary(frame)[0].resolution == 1 / 1437
    assert {one.resolution for one in contrasts.secondary(frame)} == {1 / 1437, 1 / 360}
    frame["recipe.train_images"] = 1000
    assert contrasts.primary(frame)[0].resolution == 1 / 1000


def test_a_diverged_run_leaves_its_contrasts_undecided(tmp_path: Path) -> None:
    odd = Options(seeds=(0, 1, 2), diverged={"plain-56/2": 0.5})
    frame = frame_of(tmp_path, "digits", odd)
    plain, residual, difference = contrasts.primary(frame)
    (lost,) = plain.lost
    assert (lost.network, lost.seed, lost.why) == ("plain-56", 2, "diverged")
    assert (plain.n, plain.word, lost.text) == (2, "undecided", "plain-56 seed 2 diverged")
    assert (residual.n, residual.word) == (3, "does not degrade")
    assert difference.word == "undecided"


def test_what_an_unfinished_run_has_so_far_is_no_final_error(tmp_path: Path) -> None:
    odd = Options(seeds=(0, 1, 2), partial={"plain-56/2": 0.5}, diverged={"resnet-56-A/1": 0.5})
    frame = frame_of(tmp_path, "digits", odd)
    frame["precise_train_error"] = 0.5  # measured at every record
    plain, residual, _ = contrasts.primary(frame)
    assert (plain.seeds, contrasts.lost_runs([plain])) == ((0, 1), ["plain-56 seed 2 partial"])
    assert residual.seeds == (0, 2)
    assert contrasts.lost_runs([residual]) == ["resnet-56-A seed 1 diverged"]
    on_test = {one.name: one.seeds for one in contrasts.secondary(frame) if one.n < 3}
    assert on_test == {"plain: 56 - 20": (0, 1), "option A: 56 - 20": (0, 2)}


def test_two_seeds_have_an_interval_and_one_has_none(results: Path) -> None:
    frame = load.runs(results / "digits")
    for seeds in (1, 2):
        few = frame[frame["seed"] < seeds]
        for contrast in (*contrasts.primary(few), *contrasts.secondary(few)):
            assert contrast.n == seeds
            assert (contrast.interval is not None) == (seeds == 2), contrast.name
    nothing = contrasts.primary(frame[frame["network"] != "plain-56"].query("depth in (20, 56)"))
    assert (nothing[0].mean, nothing[0].interval, nothing[0].word) == (None, None, "undecided")


def test_plain_networks_alone_have_a_finding_of_their_own(results: Path) -> None:
    """At the level of the first of three, as if the others were tested."""
    frame = with_errors(load.runs(results / "digits"), ERRORS)
    plain = frame[frame["shortcut"] == "none"]
    assert finding.sentence(plain) == (
        f"After {END:,} iterations on digits, going from 20 to 56 layers, plain networks degrade"
        " (training error +61.00 points, +56.58 to +65.42, 3 seeds)."
    )
    assert finding.sentence(plain[plain["seed"] == 0]).endswith(
        "going from 20 to 56 layers changes the training error by +60.00 points for plain"
        " networks: a single pair of runs carries no verdict."
    )


def test_where_there_is_no_option_a_another_is_compared(results: Path) -> None:
    frame = load.runs(results / "digits")
    without = frame[frame["shortcut"] != "A"]
    names = [contrast.name for contrast in contrasts.primary(without)]
    assert names == ["plain: 56 - 20", "option B: 56 - 20", "plain - option B"]
    assert "and residual networks (option B) do not degrade" in finding.sentence(without)


def test_a_refused_run_is_no_part_of_the_verdict(tmp_path: Path) -> None:
    odd = Options(seeds=(0, 1, 2), recipes={"plain-56/2": {"learning_rate": 0.5}})
    frame = frame_of(tmp_path, "digits", odd)
    plain, _, _ = contrasts.primary(frame)
    assert plain.seeds == (0, 1)
    assert "Refused" in verdict.as_text(frame)


def test_check_and_words(
    results: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(monkeypatch, "digits", "--results", str(results), "--check") == 0
    text = " ".join(capsys.readouterr().out.split())
    assert "degrades" in text
    assert "does not degrade" in text
    assert "n = 3 pairs." in text
    assert "p under 0.125 (0.25" in text
    assert "Secondary: for looking, not for deciding" in text


def test_contrasts_of_fewer_pairs_say_so(results: Path) -> None:
    frame = with_errors(load.runs(results / "digits"), ERRORS)
    fewer = frame[(frame["network"] != "plain-56") | (frame["seed"] != 1)]
    (sentence,) = verdict.limits(contrasts.primary(fewer))
    assert sentence.startswith(
        "n = 2 or 3 pairs. An exact sign-flip test of 2 pairs (the fewest here) cannot give a"
        " one-sided p under 0.25 (0.5 two-sided)"
    )
    assert "; their difference, +60.55 points (2 seeds), is " in finding.sentence(fewer)


@pytest.mark.parametrize(
    ("low", "high", "words"),
    [
        (-0.0003, 0.00496, "-0.03 to +0.496"),
        (0.00004, 0.6, "+0.004 to +60.00"),
        (-0.00004, 0.005, "-0.004 to +0.50"),
        (0.0, 0.0049996, "+0.00 to +0.50"),  # as close as makes no difference
        (-0.0000001, 0.0061, "+0.00 to +0.61"),
    ],
)
def test_no_end_is_rounded_onto_what_it_is_held_against(
    low: float, high: float, words: str
) -> None:
    assert finding.ends(Interval(mean=0.0, low=low, high=high, level=0.95)) == words


def test_the_options_that_the_finding_leaves_out(results: Path) -> None:
    frame = load.runs(results / "digits")
    options = {"resnet-20-B": (0.005,) * 3, "resnet-56-B": (0.011, 0.01, 0.012)}
    assert finding.of_other_options(with_errors(frame, ERRORS | options)) == (
        "From 20 to 56 layers the training error of residual networks (option B) changes by +0.60"
        " points (+0.35 to +0.85, 3 seeds): secondary, with unadjusted 95% intervals and no"
        " verdict."
    )
    assert finding.of_other_options(frame[frame["shortcut"] != "B"]) == ""
    assert finding.of_other_options(frame[frame["seed"] == 0]) == ""  # no interval
    assert finding.of_other_options(frame[frame["depth"] == 20]) == ""


def test_one_seed_shows_differences_and_carries_no_verdict(
    results: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(monkeypatch, "cifar10-short", "--results", str(results)) == 0
    text = capsys.readouterr().out
    assert "One seed carries no verdict." in text
    assert "degrades (" not in text
    plain = contrasts.primary(load.runs(results / "cifar10-short"))[0]
    assert formatting.points(plain.values[0]) in text
    assert run(monkeypatch, "cifar10-short", "--results", str(results), "--check") == 1


def test_what_to_type_for_a_verdict_is_said_where_the_runs_are(
    results: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    frame = load.runs(results / "cifar10-short")
    assert verdict.more_seeds(frame) == [
        f"For a verdict: make sweep SUITE=cifar10-short SEEDS=3 RESULTS={results} keeps"
        " finished runs and adds what is missing."
    ]
    assert formatting.results_setting(Path("my results")) == " RESULTS='my results'"
    monkeypatch.setattr(formatting, "RESULTS", results)  # make's own folder
    (sentence,) = verdict.more_seeds(frame)
    assert "SUITE=cifar10-short SEEDS=3 keeps" in sentence
    assert verdict.more_seeds(load.runs(results / "digits")) == []  # has three


def test_json_says_the_same_as_fractions(
    results: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(monkeypatch, "digits", "--results", str(results), "--json") == 0
    data = json.loads(capsys.readouterr().out)
    assert data["holds"] is True
    assert (data["suite"], data["iterations"], data["tolerance"]) == ("digits", [END], 0.005)
    plain = data["primary"][0]
    assert plain["word"] == "degrades"
    assert plain["mean"] == pytest.approx(sum(plain["values"]) / 3)
    assert plain["sign_flip_floor"] == 0.125
    assert {contrast["word"] for contrast in data["secondary"]} == {None}


def test_the_finding_names_budget_and_uncertainty(results: Path, tmp_path: Path) -> None:
    sentence = finding.sentence(with_errors(load.runs(results / "digits"), ERRORS))
    assert sentence == (
        f"After {END:,} iterations on digits, going from 20 to 56 layers, plain networks degrade"
        " (training error +61.00 points, +57.42 to +64.58, 3 seeds), and residual networks"
        " (option A) do not degrade (training error +0.00 points, -0.25 to +0.25, 3 seeds); their"
        " difference, +61.00 points, is positive."
    )
    # The longest runs come first: a sweep stopped half-way has fewer of the shallow ones.
    frame = with_errors(load.runs(results / "digits"), ERRORS)
    fewer = frame[(frame["network"] != "resnet-20-A") | (frame["seed"] == 0)]
    assert finding.sentence(fewer).endswith(
        " 3 seeds), and whether residual networks (option A) degrade is open (training error"
        " +0.00 points, a single pair of runs); their difference is undecided."
    )
    odd = Options(missing=frozenset({"resnet-56-A/0"}))
    unfinished = finding.sentence(frame_of(tmp_path, "digits", odd))
    assert unfinished.endswith("nothing can be said yet: resnet-56-A seed 0 missing.")
