"""The closed-form schedule of section 4.2, and when records are due."""

import pytest

from resnet_bench.suites.recipe import Recipe
from resnet_bench.suites.suite import load_suite
from resnet_bench.training.schedule import RecordSchedule, learning_rate_at


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


@pytest.mark.parametrize(
    ("policy", "ends"),
    [
        ("run-on", [2, 3, 4, 5, 7, 8]),  # ceil(r * 10 / (4 * 2))
        ("short", [2, 3, 5, 6, 8, 9]),  # of 3 batches an epoch
        ("drop", [1, 2, 3, 4, 5, 6]),  # of 2
    ],
)
def test_several_records_an_epoch_are_as_far_apart_as_batches_allow(
    policy: str, ends: list[int]
) -> None:
    recipe = Recipe(iterations=9, batch_size=4, last_batch=policy)  # type: ignore[arg-type]
    twice = RecordSchedule(recipe.model_copy(update={"records_per_epoch": 2}), images=10)
    once = RecordSchedule(recipe, images=10)
    assert [twice.record_end(record) for record in range(1, 7)] == ends
    assert [twice.epoch_end(epoch) for epoch in (1, 2, 3)] == ends[1::2]
    assert [once.record_end(epoch) for epoch in (1, 2, 3)] == ends[1::2]


@pytest.mark.parametrize(
    ("iterations", "per_epoch", "every", "records", "clean"),
    [
        (10, 1, 2, 4, [2, 4]),  # the last record is at the end of an epoch,
        (9, 1, 2, 4, [2, 4]),  # or before it
        (8, 1, 2, 3, [2, 3]),
        (8, 1, 1, 3, [1, 2, 3]),
        (8, 1, 9, 3, [3]),
        (8, 2, 2, 6, [4, 6]),
        (2, 1, 1, 1, [1]),
    ],
)
def test_clean_errors_are_due_every_so_many_epochs_and_at_the_end(
    iterations: int, per_epoch: int, every: int, records: int, clean: list[int]
) -> None:
    recipe = Recipe(
        iterations=iterations, batch_size=4, records_per_epoch=per_epoch, clean_every=every
    )
    schedule = RecordSchedule(recipe, images=10)
    assert schedule.records() == records
    assert [record for record in range(1, records + 1) if schedule.clean_due(record)] == clean
