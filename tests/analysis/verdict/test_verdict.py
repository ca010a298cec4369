"""The verdict: its contrasts, its words, and what keeps it from being given."""

import json
import math
import sys
from pathlib import Path

import pandas as pd
import pytest
from scipy.special import stdtrit

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


def test_both_contrasts_by_hand(results: Path) -> None:
    plain, residual = contrasts.primary(with_errors(load.runs(results / "digits"), ERRORS))
    assert plain.mean == pytest.approx(0.61)
    assert residual.mean == pytest.approx(0.0, abs=1e-12)
    assert plain.samples["plain-56"].finished == {0: 0.61, 1: 0.63, 2: 0.62}
    assert [contrast.counts for contrast in (plain, residual)] == [[3, 3], [3, 3]]
    assert plain.interval is not None
    assert residual.interval is not None
    assert residual.removed is not None
    # The shallow networks' seeds agree: their deviation counts as one image of 1,437.
    of_deep, of_shallow = 0.001**2 / 3, (1 / 1437) ** 2 / 3
    freedom = (of_deep + of_shallow) ** 2 / (of_deep**2 / 2 + of_shallow**2 / 2)
    half = float(stdtrit(freedom, (1 + 0.975) / 2)) * math.sqrt(of_deep + of_shallow)
    assert residual.interval.high == pytest.approx(half, rel=1e-6)
    assert (plain.interval.level, residual.interval.level) == (0.975, 0.975)
    assert residual.removed.mean == pytest.approx(1.0)
    assert [contrast.word for contrast in (plain, residual)] == ["degrades", "does not degrade"]
    assert verdict.holds([plain, residual])


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"resnet-56-A": (0.005, 0.12, 0.0)}, ["degrades", "undecided"]),
        ({"resnet-56-A": (0.11, 0.112, 0.111)}, ["degrades", "degrades"]),
        ({"resnet-56-A": (0.021, 0.022, 0.02)}, ["degrades", "rises"]),  # a 38th of plain's
        ({"plain-56": (0.01, 0.0101, 0.0099)}, ["does not degrade", "does not degrade"]),
    ],
)
def test_other_outcomes_have_other_words(
    results: Path, changed: dict[str, tuple[float, ...]], words: list[str]
) -> None:
    found = contrasts.primary(with_errors(load.runs(results / "digits"), ERRORS | changed))
    assert [contrast.word for contrast in found] == words
    assert not verdict.holds(found)


def test_the_secondary_contrasts_carry_no_words(results: Path) -> None:
    found = contrasts.secondary(load.runs(results / "digits"))
    assert {contrast.word for contrast in found} == {None}
    names = {(contrast.name, contrast.endpoint) for contrast in found}
    assert ("plain: 44 - 20", contrasts.ENDPOINT) in names
    assert ("option B: 56 - 20", contrasts.ENDPOINT) in names
    assert ("plain: 56 - 20", "test_error") in names
    assert ("plain: 56 - 20", contrasts.ENDPOINT) not in names


def test_seeds_that_agree_to_the_image_are_no_certainty(results: Path) -> None:
    """Of two seeds that agree in both networks, one image is the deviation."""
    errors = ERRORS | {"plain-56": (0.01 + 4 / 1437,) * 3}
    two = with_errors(load.runs(results / "digits"), errors)
    plain, _ = contrasts.primary(two[two["seed"] < 2])
    assert plain.interval is not None
    half = float(stdtrit(2, (1 + 0.975) / 2)) / 1437
    assert plain.interval.high == pytest.approx(4 / 1437 + half)
    assert plain.word == "undecided"


def test_one_image_is_that_of_the_set_that_is_measured_on(results: Path) -> None:
    frame = with_errors(load.runs(results / "digits"), dict.fromkeys(ERRORS, (0.01,) * 3))

    def half(train_images: int | str) -> float:
        frame["recipe.train_images"] = train_images
        interval = contrasts.primary(frame)[0].interval
        assert interval is not None
        return interval.high - interval.mean

    assert half(1000) == pytest.approx(1.437 * half("all"))


def test_a_diverged_run_counts_as_guessing_and_leaves_the_others_alone(tmp_path: Path) -> None:
    before = contrasts.primary(frame_of(tmp_path / "1", "digits", Options(seeds=(0, 1, 2))))
    odd = Options(seeds=(0, 1, 2), diverged={"plain-56/2": 0.5})
    frame = frame_of(tmp_path / "2", "digits", odd)
    plain, residual = contrasts.primary(frame)
    deep = plain.samples["plain-56"]
    assert (deep.diverged, deep.errors[2], plain.lost) == ((2,), 0.9, ())
    assert plain.interval is not None
    assert before[0].interval is not None
    assert (plain.word, plain.counts) == ("degrades", [3, 3])
    assert before[0].interval.low - 0.02 < plain.interval.low < plain.interval.high <= 1
    assert (residual.word, residual.interval) == (before[1].word, before[1].interval)
    assert residual.removed is None  # of what, would be a matter of chance
    assert "3 seeds; 1 of 3 plain-56 diverged, which counts as guessing)" in finding.sentence(frame)


def test_what_an_unfinished_run_has_so_far_is_no_final_error(tmp_path: Path) -> None:
    odd = Options(seeds=(0, 1, 2), partial={"plain-56/2": 0.5})
    frame = frame_of(tmp_path, "digits", odd)
    frame["precise_train_error"] = 0.5  # measured at every record
    plain, _ = contrasts.primary(frame)
    assert list(plain.samples["plain-56"].finished) == [0, 1]
    assert contrasts.lost_runs([plain]) == ["plain-56 seed 2 partial"]
    fewer = {one.name: one.counts for one in contrasts.secondary(frame) if one.counts != [3, 3]}
    assert fewer == {"plain: 56 - 20": [2, 3]}


def test_a_finished_run_without_its_final_error_is_named(tmp_path: Path) -> None:
    frame = frame_of(tmp_path, "digits", Options(seeds=(0, 1, 2)))
    run = (frame["network"] == "plain-56") & (frame["seed"] == 1)
    frame.loc[run, contrasts.ENDPOINT] = math.nan
    assert (
        "2 to 3 seeds; plain-56 seed 1 finished without precise_train_error), and"
        in finding.sentence(frame)
    )


def test_two_seeds_have_an_interval_and_one_has_none(results: Path) -> None:
    frame = load.runs(results / "digits")
    for seeds in (1, 2):
        few = frame[frame["seed"] < seeds]
        for contrast in (*contrasts.primary(few), *contrasts.secondary(few)):
            assert contrast.counts == [seeds, seeds]
            assert (contrast.interval is not None) == (seeds == 2), contrast.name
    nothing = contrasts.primary(frame[frame["network"] != "plain-56"].query("depth in (20, 56)"))
    assert (nothing[0].mean, nothing[0].interval, nothing[0].word) == (None, None, "undecided")


def test_plain_networks_alone_have_a_finding_of_their_own(results: Path) -> None:
    frame = with_errors(load.runs(results / "digits"), ERRORS)
    plain = frame[frame["shortcut"] == "none"]
    assert finding.sentence(plain) == (
        f"After {END:,} iterations on digits, going from 20 to 56 layers, plain networks degrade"
        " (training error +61.00 points, +57.45 to +64.55, 3 seeds)."
    )
    assert finding.sentence(plain[plain["seed"] == 0]).endswith(
        "going from 20 to 56 layers changes the training error by +60.00 points for plain"
        " networks: a single seed carries no verdict."
    )


def test_where_there_is_no_option_a_another_is_compared(results: Path) -> None:
    frame = load.runs(results / "digits")
    without = frame[frame["shortcut"] != "A"]
    names = [contrast.name for contrast in contrasts.primary(without)]
    assert names == ["plain: 56 - 20", "option B: 56 - 20"]
    assert "and residual networks (option B) do not degrade" in finding.sentence(without)


def test_a_refused_run_is_no_part_of_the_verdict(tmp_path: Path) -> None:
    odd = Options(seeds=(0, 1, 2), recipes={"plain-56/2": {"learning_rate": 0.5}})
    frame = frame_of(tmp_path, "digits", odd)
    plain, _ = contrasts.primary(frame)
    assert list(plain.samples["plain-56"].finished) == [0, 1]
    assert "Refused" in verdict.as_text(frame)


def test_check_and_words(
    results: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(monkeypatch, "digits", "--results", str(results), "--check") == 0
    text = " ".join(capsys.readouterr().out.split())
    assert "degrades" in text
    assert "does not degrade" in text
    assert "removes" in text
    assert "have a correlation of" in text
    assert "Secondary: for looking, not for deciding" in text


def test_networks_of_fewer_seeds_say_so(results: Path) -> None:
    frame = with_errors(load.runs(results / "digits"), ERRORS)
    fewer = frame[(frame["network"] != "plain-56") | (frame["seed"] != 1)]
    assert ", 2 to 3 seeds), and residual" in finding.sentence(fewer)
    table = formatting.as_text(verdict.by_seed_rows(contrasts.primary(fewer)))
    assert table.splitlines()[0].split()[-6:] == ["seed", "0", "seed", "1", "seed", "2"]


def test_the_correlation_over_seeds_is_of_the_errors(results: Path) -> None:
    errors = [0.01, 0.02, 0.03]
    rising = {network: tuple(errors) for network in ERRORS}
    frame = load.runs(results / "digits")
    four = with_errors(frame[frame["network"].isin(list(ERRORS))].copy(), rising)
    (sentence,) = verdict.limits(four)
    assert "have a correlation of +1.00, mean of 6 pairs of networks" in sentence
    assert verdict.limits(four[four["seed"] < 2]) == []


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
        " points (+0.40 to +0.80, 3 seeds): secondary, with unadjusted 95% intervals and no"
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
    assert plain.mean is not None
    assert formatting.points(plain.mean) in text
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
    assert (data["suite"], data["iterations"]) == ("digits", [END])
    assert data["margin"] == {"points": 0.005, "of_plain": 0.1}
    plain = data["primary"][0]
    assert plain["word"] == "degrades"
    deep, shallow = (plain["errors"][f"plain-{depth}"]["finished"] for depth in (56, 20))
    means = [sum(by_seed.values()) / 3 for by_seed in (deep, shallow)]
    assert plain["mean"] == pytest.approx(means[0] - means[1])
    assert list(deep) == ["0", "1", "2"]
    assert data["primary"][1]["removed"]["level"] == 0.975
    assert {contrast["word"] for contrast in data["secondary"]} == {None}


def test_the_finding_names_budget_and_uncertainty(results: Path, tmp_path: Path) -> None:
    sentence = finding.sentence(with_errors(load.runs(results / "digits"), ERRORS))
    assert sentence == (
        f"After {END:,} iterations on digits, going from 20 to 56 layers, plain networks degrade"
        " (training error +61.00 points, +57.45 to +64.55, 3 seeds), and residual networks"
        " (option A) do not degrade (training error +0.00 points, -0.26 to +0.26, 3 seeds): option"
        " A removes 100.0% (99.6 to 100.4) of the degradation."
    )
    # The longest runs come first: a sweep stopped half-way has fewer of the shallow ones.
    frame = with_errors(load.runs(results / "digits"), ERRORS)
    fewer = frame[(frame["network"] != "resnet-20-A") | (frame["seed"] == 0)]
    assert finding.sentence(fewer).endswith(
        " 3 seeds), and whether residual networks (option A) degrade is undecided (training error"
        " +0.00 points, 1 to 3 seeds)."
    )
    odd = Options(missing=frozenset({"resnet-56-A/0"}))
    unfinished = finding.sentence(frame_of(tmp_path, "digits", odd))
    assert unfinished.endswith("nothing can be said yet: resnet-56-A seed 0 missing.")
