"""Suites that name their experiments, or vary a setting over all."""

from pathlib import Path

import pytest

from resnet_bench.errors import UserError
from resnet_bench.suites.suite import find_experiment, load_suite
from tests.conftest import SMALL_SUITE

NAMED = """
[experiments.wider-mind]
like = "plain-8"
recipe.learning_rate = 0.5

[experiments.residual-mind]
like = "wider-mind"
network.shortcut = "A"

[experiments.other-data]
dataset = "fashion"
network = { depth = 18, shortcut = "B", architecture = "imagenet" }
recipe.batch_size = 32
"""


def write(folder: Path, text: str) -> Path:
    (folder / "named.toml").write_text(text)
    return folder


def test_a_named_experiment_differs_in_what_its_table_says(tmp_path: Path) -> None:
    suite = load_suite("named", write(tmp_path, SMALL_SUITE.format(iterations=50) + NAMED))
    names = ["plain-8", "resnet-8-A", "wider-mind", "residual-mind", "other-data"]
    assert [e.network_name for e in suite.experiments] == names
    plain, _, wider, residual, other = suite.experiments
    assert wider.spec == plain.spec
    assert wider.recipe == plain.recipe.model_copy(update={"learning_rate": 0.5})
    assert residual.recipe == wider.recipe
    assert residual.spec == plain.spec.model_copy(update={"shortcut": "A"})
    assert (other.dataset.name, other.spec.name) == ("fashion", "resnet-18-B")
    assert other.recipe == suite.recipe.model_copy(update={"batch_size": 32})
    found = find_experiment("named/residual-mind", ("recipe.momentum=0.5",), tmp_path)
    assert found.network_name == "residual-mind+momentum=0.5"
    assert find_experiment(found.name, (), tmp_path) == found


def test_named_experiments_alone_make_a_suite(tmp_path: Path) -> None:
    start, _, _ = SMALL_SUITE.format(iterations=50).partition("[networks]")
    table = '[experiments.one]\nnetwork = { depth = 8, shortcut = "none" }\n'
    suite = load_suite("named", write(tmp_path, start + table))
    assert [e.name for e in suite.experiments] == ["named/one"]


def test_varied_experiments_are_those_that_their_names_find(tmp_path: Path) -> None:
    text = SMALL_SUITE.format(iterations=50) + "\n[vary]\nlearning_rate = [0.001, 0.02, 0.3, 3e-1]"
    suite = load_suite("named", write(tmp_path, text))
    assert [e.network_name for e in suite.experiments] == [
        "plain-8",
        "resnet-8-A",
        "plain-8+learning_rate=0.001",
        "plain-8+learning_rate=0.3",  # once; 0.02 is the suite's own
        "resnet-8-A+learning_rate=0.001",
        "resnet-8-A+learning_rate=0.3",
    ]
    for experiment in suite.experiments:
        assert find_experiment(experiment.name, (), tmp_path) == experiment


def test_the_grid_takes_any_field_of_a_network(tmp_path: Path) -> None:
    text = SMALL_SUITE.format(iterations=50).replace("depths = [8]", "depths = [8, 14]")
    suite = load_suite("named", write(tmp_path, text + 'pooling = "max"\nzero_channels = "both"'))
    assert len(suite.experiments) == 4
    assert {e.spec.pooling for e in suite.experiments} == {"max"}
    assert {e.spec.zero_channels for e in suite.experiments} == {"both"}


@pytest.mark.parametrize(
    ("tables", "message"),
    [
        ('[experiments.x]\nlike = "plain-9"', "experiments.x: like: none above is 'plain-9'"),
        ('[experiments.plain-8]\nlike = "resnet-8-A"', "experiments.plain-8: .* taken"),
        ('[experiments."a+b"]\nlike = "plain-8"', r"experiments.a\+b: not a name"),
        ('[experiments."../a"]\nlike = "plain-8"', "not a name"),
        (
            '[experiments.x]\nlike = "plain-8"\nrecipe.flop = 1',
            "recipe: flop: unknown key; did you mean flip",
        ),
        ('[experiments.x]\nlike = "plain-8"\nnetwork.depth = 9', "network: depth 9 is not 6n.2"),
        ('[experiments.x]\nlike = "plain-8"\ndataset = "digit"', "did you mean digits"),
        ("[experiments.x]\nnetwork = { depth = 8 }", "experiments.x: network: shortcut: Field"),
        ('[experiments.x]\nlike = "plain-8"\nwidth = 2', "experiments.x.width: unknown key"),
        ('[experiments.x]\nlike = "plain-8"\nrecipe.batch_size = 9999', "batch_size: 9999 of 1437"),
        (
            '[experiments.x]\nlike = "plain-8"\nrecipe.last_scale = "zero"',
            "last_scale: zero leaves nothing",
        ),
        (
            '[experiments.x]\nlike = "plain-8"\nrecipe.records_per_epoch = 30',
            "records_per_epoch: 30 of 22",
        ),
        ('[experiments.x]\nlike = "plain-8"', "experiments.x: differs in nothing from 'plain-8'"),
        (
            '[experiments.x]\nlike = "plain-8"\nrecipe.padding = 9',
            "recipe.padding: 9, a crop beside images of 8 pixels",
        ),
        (
            '[experiments.x]\nlike = "plain-8"\nrecipe.drops = 9',
            r"drops: Input should be a valid list \(got 9\)$",
        ),
        ("[experiments]\nx = 3", r"experiments.x: Input should be a valid dictionary \(got 3\)$"),
        ("[vary]\nlearning_rte = [1]", "did you mean learning_rate"),
        ("[vary]\nmomentum = [1.5]", "momentum: .*less than 1"),
    ],
)
def test_tables_with_a_mistake(tmp_path: Path, tables: str, message: str) -> None:
    write(tmp_path, SMALL_SUITE.format(iterations=50) + "\n" + tables)
    with pytest.raises(UserError, match=message) as caught:
        load_suite("named", tmp_path)
    assert str(caught.value).startswith("named")
    assert "\n" not in str(caught.value)


def test_a_suite_without_experiments(tmp_path: Path) -> None:
    start, _, _ = SMALL_SUITE.format(iterations=50).partition("[networks]")
    with pytest.raises(UserError, match=r"named\.toml: neither networks nor experiments"):
        load_suite("named", write(tmp_path, start))


def test_learning_rate_suites_hold_images_out() -> None:
    for name, rates in (("digits-lr", 6), ("cifar10-lr", 5)):
        suite = load_suite(name)
        assert len(suite.experiments) == 4 * rates
        assert len({e.recipe.learning_rate for e in suite.experiments}) == rates
        assert suite.experiments[0].train_images < suite.dataset.train_images


def test_deep_suites_treat_both_depths_and_families_alike() -> None:
    for name in ("digits-deep", "cifar10-deep"):
        suite = load_suite(name)
        assert {e.spec.depth for e in suite.experiments} == {20, 110}
        warmups: dict[str, set[int]] = {e.spec.name: set() for e in suite.experiments}
        for e in suite.experiments:
            warmups[e.spec.name].add(e.recipe.warmup_iterations)
        assert len(set(map(frozenset, warmups.values()))) == 1
    longer = load_suite("cifar10-3x").recipe.model_dump()
    paper = load_suite("cifar10").recipe.model_dump()
    assert {k for k in paper if paper[k] != longer[k]} == {"iterations", "drops", "clean_every"}
    assert longer["iterations"] == 3 * paper["iterations"]


def test_a_wrong_value_in_a_list_is_the_only_mistake_named(tmp_path: Path) -> None:
    text = SMALL_SUITE.format(iterations=50)
    wrong = text.replace('shortcuts = ["none", "A"]', 'shortcuts = ["D"]')
    assert wrong != text
    with pytest.raises(UserError) as info:
        load_suite("named", write(tmp_path, wrong))
    assert str(info.value).startswith("named.toml: networks.shortcuts.0: Input should be 'none', ")
    assert "at least" not in str(info.value)
    empty = text.replace('shortcuts = ["none", "A"]', "shortcuts = []")
    with pytest.raises(UserError, match=r"networks.shortcuts: List should have at least 1 item"):
        load_suite("named", write(tmp_path, empty))


@pytest.mark.parametrize("value", ["inf", "-inf", "nan"])
def test_a_setting_is_a_finite_number(value: str) -> None:
    with pytest.raises(UserError, match=r"learning_rate: Input should be a finite number"):
        find_experiment("smoke/plain-8", (f"learning_rate={value}",))


def test_the_nearest_depths_are_depths_that_there_are(tmp_path: Path) -> None:
    text = SMALL_SUITE.format(iterations=50) + NAMED
    bottleneck = (
        text
        + """
[experiments.narrow]
like = "plain-8"
network.block = "bottleneck"
"""
    )
    with pytest.raises(UserError, match=r"depth 8 is not 9n\+2; the nearest is 11$"):
        load_suite("named", write(tmp_path, bottleneck))


def test_a_suites_name_is_one_that_a_command_can_take(tmp_path: Path) -> None:
    (tmp_path / "my suite.toml").write_text(SMALL_SUITE.format(iterations=50))
    with pytest.raises(UserError, match=r"^my suite.toml: a suite's name is of letters"):
        load_suite("my suite", tmp_path)


@pytest.mark.parametrize(("key", "value", "side"), [("border", 1, 10), ("resize", 30, 30)])
def test_images_that_cannot_be_halved_twice_are_refused(key: str, value: int, side: int) -> None:
    with pytest.raises(UserError, match=rf"recipe.{key}: {value}, but images of {side} pixels"):
        find_experiment("smoke/plain-8", (f"{key}={value}",))
    assert find_experiment("smoke/plain-8", ("border=2",)).images.side == 12
