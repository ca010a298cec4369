"""What is said and drawn where runs are lost: diverged, partial, missing, overflowed."""

from pathlib import Path

from analysis import load
from analysis.figures import budgets, convergence
from analysis.frames import layers
from analysis.frames.layers import Layers
from analysis.results import SuiteResults
from analysis.signals import vanishing
from analysis.verdict import best_rates, finding
from resnet_bench.suites.suite import load_suite
from tests.support.layers import write_layers
from tests.support.results import DIGITS_RECIPE, Options, frame_of, write_changed, write_suite


def test_signals_that_are_no_numbers_overflowed_and_none_at_all_vanished(tmp_path: Path) -> None:
    folder = write_suite(tmp_path, "smoke", Options(seeds=(0,)))
    write_layers(tmp_path, "smoke", (0,))
    data = Layers.of(load.runs(folder))
    table = data.table.copy()
    late = table["iteration"] == 30
    of_a, plain = (late & (table["network"] == name) for name in ("resnet-14-A", "plain-14"))
    table.loc[of_a, ["response_deviation", "activation_gradient_norm"]] = float("nan")
    table.loc[plain, "activation_gradient_norm"] = 0.0
    found = vanishing.fates(Layers(data.runs, table)).set_index(["network", "iteration"])
    fates = found.loc[("resnet-14-A", 30), ["forward_fate", "backward_fate"]]
    assert tuple(fates) == ("explode", "explode")
    assert found.loc[("plain-14", 30), "backward_fate"] == "vanish"
    assert layers.summaries(table)["backward_high"].notna().all()
    claim, of_plain, of_residual, _ = vanishing.sentences(Layers(data.runs, table))
    assert "They do not hold throughout in resnet-14-A either." in claim
    assert "gradients vanish (the first layer's is 0 times the last one's), and an" in of_plain
    assert "responses explode (deviations inf to inf)" in of_residual


def test_only_finished_runs_say_what_becomes_of_signals(tmp_path: Path) -> None:
    odd = Options(seeds=(0, 1), partial={"plain-14/1": 0.1}, diverged={"resnet-14-A/0": 0.1})
    folder = write_suite(tmp_path, "smoke", odd)
    write_layers(tmp_path, "smoke", (0, 1))
    claim, plain, residual, *others, left_out = vanishing.sentences(Layers.of(load.runs(folder)))
    assert "They hold throughout in resnet-8-A, resnet-14-A, resnet-8-B and resnet-14-B." in claim
    assert plain.startswith("plain-14 (one seed): ")
    assert residual.startswith("resnet-14-A (one seed): ")
    assert [words.partition(" ")[0] for words in others] == ["resnet-14-B"]
    assert left_out == "Not in this: plain-14 seed 1 partial, resnet-14-A seed 0 diverged."


def test_a_network_none_of_whose_runs_is_finished_is_not_judged(tmp_path: Path) -> None:
    folder = write_suite(tmp_path, "smoke", Options(partial={"plain-14/0": 0.1}))
    write_layers(tmp_path, "smoke")
    claim, *_, left_out = vanishing.sentences(Layers.of(load.runs(folder)))
    assert "plain-14" not in claim
    assert left_out == "Not in this: plain-14 seed 0 partial."


def test_a_network_without_a_best_rate_is_not_passed_over(tmp_path: Path) -> None:
    rates = [e.recipe.learning_rate for e in load_suite("digits-lr").experiments]
    own = load_suite("digits-lr").recipe.learning_rate
    names = [f"plain-56+learning_rate={rate:g}" for rate in set(rates) - {own}] + ["plain-56"]
    odd = Options(seeds=(0, 1), diverged={f"{name}/1": 0.5 for name in names})
    frame = frame_of(tmp_path, "digits-lr", odd)
    assert best_rates.without_best(frame) == ["plain-56"]
    sentence = best_rates.sentences(frame)[0]
    assert "; none for plain-56: at none of these did every seed finish), going from" in sentence
    shallow = frame[frame["depth"] == 20]
    assert (
        "nothing can be said: there are no networks of two depths."
        in (best_rates.sentences(shallow)[0])
    )


def test_rates_are_compared_over_the_same_seeds(tmp_path: Path) -> None:
    write_suite(tmp_path, "digits-lr", Options(seeds=(0, 1, 2)))
    lucky = Options(seeds=(1,), best_rates={"plain-56": 0.02}, spread=0.0)
    write_changed(tmp_path, "digits-lr/plain-56", "recipe.learning_rate=0.02", lucky)
    frame = load.runs(tmp_path / "digits-lr")
    best = frame["recipe.learning_rate"] == 0.02
    frame.loc[best, "validation_error"] = 0.0
    chosen = best_rates.best(frame).set_index("name").loc["plain-56"]
    assert (chosen["n"], chosen["rate"] == 0.02) == (3, False)


def test_rates_that_are_not_compared_are_named(tmp_path: Path) -> None:
    name = "plain-56+learning_rate=0.1"
    frame = frame_of(tmp_path, "digits-lr", Options(seeds=(0, 1), partial={f"{name}/1": 0.5}))
    at_best, at_all = best_rates.sentences(frame)
    assert "; plain-56 among the 5 of 6 rates at which every seed finished), going" in at_best
    ended = frame[(frame["network"] == name) & (frame["status"] == "finished")].iloc[-1]
    assert f" {100 * ended['precise_train_error']:.2f}% (1 seed)," in at_all
    assert at_all.count("seed") == 1


def test_budgets_are_drawn_and_noted_for_the_seeds_that_ran_at_each(tmp_path: Path) -> None:
    write_suite(tmp_path, "digits", Options(seeds=(0, 1, 2), missing=frozenset({"plain-56/0"})))
    write_suite(tmp_path, "digits-3x", Options(seeds=(0, 1), missing=frozenset({"plain-56/0"})))
    write_suite(tmp_path, "digits-layers", Options(commits={"plain-20/0": "f" * 40}))
    wider = SuiteResults.of(tmp_path, "digits").wider
    drawn = budgets.compared(wider)
    assert set(drawn["seed"]) == {0, 1}
    assert set(drawn.loc[drawn["network"] == "plain-56", "seed"]) == {1}
    notes = " ".join(text.get_text() for text in budgets.draw_budgets(wider).texts)
    assert "Missing: digits/plain-56 seed 0, digits-3x/plain-56 seed 0." in " ".join(notes.split())
    assert "commit" not in notes  # digits-layers has no part in it


def test_a_family_that_is_not_there_does_not_hide_the_other(tmp_path: Path) -> None:
    missing = frozenset(f"resnet-{depth}-A/{seed}" for depth in (20, 56) for seed in range(3))
    frame = frame_of(tmp_path, "digits", Options(seeds=(0, 1, 2), missing=missing))
    sentence = finding.sentence(frame)
    assert "plain networks degrade (training error +6" in sentence
    assert (
        "; of residual networks (option A) nothing can be said yet: resnet-20-A seed 0 missing"
        in (sentence)
    )
    lost = {f"plain-56/{seed}": 0.5 for seed in range(3)}
    frame = frame_of(tmp_path / "2", "digits", Options(seeds=(0, 1, 2), diverged=lost))
    sentence = finding.sentence(frame)
    assert "residual networks (option A) do not degrade" in sentence
    assert "plain networks degrade (training error +8" in sentence
    assert "; 3 of 3 plain-56 diverged, which counts as guessing), and residual" in sentence


def test_partial_runs_are_no_fast_ones(tmp_path: Path) -> None:
    odd = Options(seeds=(0, 1), partial={"plain-20/1": 0.9})
    found = convergence.iterations_to(frame_of(tmp_path, "digits", odd), 0.5)
    of_plain = found[(found["depth"] == 20) & (found["shortcut"] == "none")]
    assert of_plain["seed"].tolist() == [0]
    assert DIGITS_RECIPE.iterations > of_plain["value"].iloc[0]
