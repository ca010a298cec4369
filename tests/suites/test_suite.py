"""Suites as data: what they hold, and one clear line for everything wrong with one."""

import subprocess
from pathlib import Path

import pytest

from resnet_bench.errors import UserError
from resnet_bench.paths import ROOT
from resnet_bench.suites.experiment import Run
from resnet_bench.suites.suite import find_experiment, load_suite, suite_names
from resnet_bench.training.schedule import learning_rate_at
from tests.conftest import SMALL_SUITE


def test_the_suites_that_ship() -> None:
    """Those that git tracks, outside a checkout all: a user may have added some."""
    tracked = ["git", "ls-files", "experiments/*.toml"]
    shipped = subprocess.run(tracked, cwd=ROOT, capture_output=True, text=True).stdout
    names = [Path(path).stem for path in shipped.split()] or suite_names()
    assert {"digits", "digits-3x", "cifar10", "cifar10-short", "smoke"} <= set(names)
    for name in names:
        suite = load_suite(name)
        assert suite.experiments
        for word in ("Source:", "Expect", "Time:"):
            assert word in suite.description, f"{name}.toml opens without {word}"
        assert suite.question.endswith(("?", "."))


def test_the_papers_suite() -> None:
    suite = load_suite("cifar10")
    recipe = suite.recipe
    assert [e.network_name for e in suite.experiments] == [
        *(f"plain-{depth}" for depth in (20, 32, 44, 56)),
        *(f"resnet-{depth}-A" for depth in (20, 32, 44, 56)),
        *(f"resnet-{depth}-B" for depth in (20, 32, 44, 56)),
    ]
    assert (recipe.iterations, recipe.batch_size, recipe.drops) == (64_000, 128, (32_000, 48_000))
    assert (recipe.learning_rate, recipe.momentum, recipe.weight_decay) == (0.1, 0.9, 1e-4)
    assert (recipe.padding, recipe.flip, recipe.train_images) == (4, True, "all")


def test_the_longer_digits_differ_in_length_alone() -> None:
    short, long = load_suite("digits").recipe, load_suite("digits-3x").recipe
    assert long.iterations == 3 * short.iterations
    changed = {k for k, v in short.model_dump().items() if v != getattr(long, k)}
    assert changed <= {"iterations", "drops", "clean_every"}
    assert learning_rate_at(0, short) == learning_rate_at(0, long)


def test_a_changed_setting_is_another_experiment_with_a_name_that_finds_it() -> None:
    plain = find_experiment("digits/plain-56")
    changed = find_experiment("digits/plain-56", ("recipe.learning_rate=0.05", "flip=true"))
    assert changed.network_name == "plain-56+flip=true+learning_rate=0.05"
    assert changed.recipe == plain.recipe.model_copy(update={"learning_rate": 0.05, "flip": True})
    assert find_experiment(changed.name) == changed
    drops = find_experiment("digits/plain-56", ("drops=[100, 200]",))
    assert find_experiment(drops.name) == drops
    huge = find_experiment("digits/plain-56", ("learning_rate=1e30",))
    assert find_experiment(huge.name) == huge
    again = find_experiment("digits/plain-56", ("learning_rate=5e-2", "recipe.flip=true"))
    assert again.name == changed.name


def test_a_setting_that_is_none_is_the_same_experiment() -> None:
    """One name a recipe: else a rate of digits-lr could be run twice, and counted twice."""
    base = find_experiment("digits-lr/plain-56")
    rate = base.recipe.learning_rate
    assert find_experiment(f"digits-lr/plain-56+learning_rate={rate}") == base
    assert find_experiment("digits-lr/plain-56", (f"recipe.learning_rate={rate}",)) == base
    there_and_back = ("learning_rate=0.5", f"learning_rate={rate}", "flip=true")
    assert (
        find_experiment("digits-lr/plain-56", there_and_back).network_name == "plain-56+flip=true"
    )


def test_a_run_lives_under_suite_network_and_seed() -> None:
    run = Run(find_experiment("digits/plain-56"), 3)
    assert run.directory(Path("results")) == Path("results/digits/plain-56/seed-3")


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("digit/plain-20", "unknown suite 'digit'; did you mean digits?"),
        ("digits/plain-65", "did you mean digits/plain-56"),
        ("digits/resnet-56", "did you mean digits/resnet-56-A?"),
        ("", "no experiment is named; write suite/network"),
        ("digits/plain-58", "unknown experiment 'digits/plain-58'"),
        ("plain-56", "write suite/network"),
        ("../digits/plain-20", "unknown suite '..'"),
        ("digits/../plain-20", "unknown experiment"),
        ("digits/plain-20+../x", "unknown experiment"),
        ("digits/plain-20+flip", "unknown experiment"),
        ("digits/plain-20+learning_rate=../../x", "learning_rate: .*(got '../../x')"),
        ("digits/plain-20+network.depth=26", "unknown experiment"),
        ("digits/plain-20+learning_rte=1", "did you mean learning_rate"),
        ("digits/plain-20+momentum=1.5", "momentum: .*less than 1 .got 1.5"),
        ("digits/plain-20+drops=[300,100]", "not in increasing order"),
        ("digits/plain-20+batch_size=5000", "batch_size: 5000 of 1437"),
        ("digits/plain-20+train_images=5000", "train_images: 5000, but digits has 1437"),
        ("smoke/plain-8+batch_norm_images=1", "of 1437 training images one is normalised alone"),
        ("smoke/plain-8+batch_size=1", "one is normalised alone"),
        ("smoke/plain-8+last_batch=short+train_images=129", "129 training images one is norm"),
        ("smoke/plain-8+batch_norm_images=4+last_batch=short+train_images=69", "one is norm"),
        ("digits/plain-20+records_per_epoch=23", "records_per_epoch: 23 of 22 whole batches"),
    ],
)
def test_names_and_settings_that_are_not_there(name: str, message: str) -> None:
    with pytest.raises(UserError, match=message) as caught:
        find_experiment(name)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("[recipe]", "[recipe", "bad.toml: not valid TOML"),
        ('dataset = "digits"', "", "bad.toml: dataset: Field required"),
        ('dataset = "digits"', 'dataset = "digit"', "unknown 'digit'; did you mean digits"),
        ("flip = false", "flop = false", "recipe.flop: unknown key"),
        ("flip = false", 'flip = "no"', "recipe.flip: .*got 'no'"),
        ("iterations = 50", "iterations = 50.5", "recipe.iterations: .*got 50.5"),
        ("iterations = 50", "iterations = -1", "recipe.iterations: .*got -1"),
        ("iterations = 50", "iterations = 10", "recipe: the drop at 20 comes after"),
        ("iterations = 50", "iterations = true", "recipe.iterations"),
        ("depths = [8]", "depths = [8, 10]", "networks: depth 10 is not 6n.2; .* 8 and 14"),
        ("depths = [8]", "depths = []", "networks.depths"),
        ("depths = [8]", 'depths = "8"', "networks.depths"),
        ('"A"]', '"D"]', "networks.shortcuts.1: .*got 'D'"),
        ('precision = "ieee"', 'precision = "fp16"', "recipe.precision: .*got 'fp16'"),
        ("batch_size = 64", "batch_norm_images = 60", "does not divide batch_size 128"),
    ],
)
def test_a_suite_with_a_mistake(tmp_path: Path, old: str, new: str, message: str) -> None:
    text = SMALL_SUITE.format(iterations=50)
    assert old in text
    (tmp_path / "bad.toml").write_text(text.replace(old, new))
    with pytest.raises(UserError, match=message) as caught:
        load_suite("bad", tmp_path)
    assert "\n" not in str(caught.value)


def test_all_mistakes_of_a_suite_are_named_at_once(tmp_path: Path) -> None:
    text = SMALL_SUITE.format(iterations=-5).replace("flip =", "flop =")
    (tmp_path / "bad.toml").write_text(text)
    with pytest.raises(UserError, match=r"recipe\.iterations.*recipe\.flop"):
        load_suite("bad", tmp_path)


def test_a_suite_that_cannot_be_read(tmp_path: Path) -> None:
    (tmp_path / "bad.toml").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(UserError, match=r"bad.toml: cannot be read"):
        load_suite("bad", tmp_path)


def test_a_suite_saved_by_an_editor_of_windows_is_the_same_suite(tmp_path: Path) -> None:
    text = SMALL_SUITE.format(iterations=50)
    (tmp_path / "small.toml").write_text(text)
    expected = load_suite("small", tmp_path)
    windows = b"\xef\xbb\xbf" + text.replace("\n", "\r\n").encode()
    (tmp_path / "small.toml").write_bytes(windows)
    assert load_suite("small", tmp_path) == expected
    (tmp_path / "small.toml").write_text(text, encoding="utf-16")
    with pytest.raises(UserError, match=r"small.toml: cannot be read as UTF-8"):
        load_suite("small", tmp_path)
