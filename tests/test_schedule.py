"""The closed-form schedule of section 4.2."""

from resnet_bench.experiments import load_suite
from resnet_bench.schedule import learning_rate_at
from resnet_bench.specification import Recipe


def test_the_papers_drops() -> None:
    recipe = load_suite("cifar10").recipe
    rates = [learning_rate_at(i, recipe) for i in (0, 31_999, 32_000, 47_999, 48_000, 63_999)]
    assert rates == [0.1, 0.1, 0.01, 0.01, 0.001, 0.001]


def test_the_warmup_of_depth_110_leaves_the_drops_at_the_full_rate() -> None:
    recipe = Recipe(
        iterations=64_000, drops=(32_000, 48_000), warmup_iterations=400, warmup_learning_rate=0.01
    )
    rates = [learning_rate_at(i, recipe) for i in (0, 399, 400, 31_999, 32_000, 48_000)]
    assert rates == [0.01, 0.01, 0.1, 0.1, 0.01, 0.001]
