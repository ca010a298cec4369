"""What the records of a training say: errors, in which mode, over which images."""

import copy
import itertools

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from resnet_bench.networks.initialization import digest
from resnet_bench.training.batches import BatchStream
from resnet_bench.training.evaluation import evaluate, precise_batch_norm
from resnet_bench.training.loop import train
from resnet_bench.training.step import eager_step
from tests.support.states import data_of, run_all, states_of


def test_running_errors_cover_the_iterations_since_the_last_record() -> None:
    (state,) = states_of("smoke/plain-8")
    experiment = state.run.experiment
    data, stream = data_of(experiment), BatchStream(experiment.recipe, 1437, 0)
    wrong = []
    for iteration in range(30):
        images, labels = data.batch(stream.draw(iteration))
        with torch.no_grad():
            logits = copy.deepcopy(state.network)(images)
        wrong.append((logits.argmax(1) != labels).float().mean().item())
        eager_step([state], (images, labels))
        state.iteration += 1
    (again,) = states_of("smoke/plain-8")
    rows = run_all([again])["smoke/plain-8"]
    assert [row["iteration"] for row in rows] == [23, 30]  # ceil(1437 / 64), the last iteration
    assert rows[0]["train_error"] == pytest.approx(sum(wrong[:23]) / 23)
    assert rows[1]["train_error"] == pytest.approx(sum(wrong[23:]) / 7)


@pytest.mark.parametrize(
    ("policy", "iterations", "images"),
    [
        ("run-on", [8, 15, 23, 30], [8 * 64, 7 * 64, 8 * 64, 7 * 64]),  # ceil(r * 1437 / (64 * 3))
        ("short", [8, 16, 23, 30], [8 * 64, 8 * 64, 6 * 64 + 29, 7 * 64]),  # 23 an epoch
        ("drop", [8, 15, 22, 30], [8 * 64, 7 * 64, 7 * 64, 8 * 64]),  # 22 an epoch
    ],
)
def test_three_records_an_epoch(policy: str, iterations: list[int], images: list[int]) -> None:
    """Each covers the iterations since the one before; three are what is one for the epoch."""
    names = [f"smoke/plain-8+last_batch={policy}+records_per_epoch={each}" for each in (3, 1)]
    (state,), (whole,) = (states_of(name) for name in names)
    experiment = state.run.experiment
    stream = BatchStream(experiment.recipe, experiment.train_images, 0)
    records = [record for _, record in train([state], stream, data_of(experiment))]
    assert [record.iteration for record in records] == iterations
    assert [record.epoch for record in records] == [1, 1, 1, 2]
    measured = [record.clean_train_error is not None for record in records]
    assert measured == [False, False, True, True]  # after each whole epoch, and at the end
    covered = list(zip(records, images, strict=True))
    for record, count in covered:
        assert record.images_per_second * record.seconds == pytest.approx(count)

    (epoch,) = run_all([whole], iterations[2])[whole.run.experiment.name]
    assert epoch["iteration"] == iterations[2]
    for figure in ("train_error", "train_loss"):
        total = sum(getattr(record, figure) * count for record, count in covered[:3])
        assert total / sum(images[:3]) == pytest.approx(epoch[figure])


def test_the_time_of_a_record_is_that_of_its_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    """By a clock that goes on by a second at every look: evaluation takes none."""
    clock = itertools.count(100)
    monkeypatch.setattr("resnet_bench.training.loop.time.perf_counter", lambda: float(next(clock)))
    states = states_of("smoke/plain-8", "smoke/resnet-8-A")
    experiment = states[0].run.experiment
    stream = BatchStream(experiment.recipe, experiment.train_images, 0)
    for state, record in train(states, stream, data_of(experiment)):
        done = 23 if record.epoch == 1 else 30
        assert record.seconds == (23, 7)[record.epoch - 1]
        assert record.images_per_second == 64  # of this run, while the others train, too
        assert state.seconds == done


def test_measuring_does_not_touch_training() -> None:
    often, seldom = "smoke/plain-8", "smoke/plain-8+clean_every=100"
    (first,), (second,) = states_of(often), states_of(seldom)
    many, few = run_all([first])[often], run_all([second])[seldom]
    assert digest(first.network) == digest(second.network)
    assert many[0]["clean_train_error"] is not None
    assert few[0]["clean_train_error"] is None
    assert few[-1] == many[-1]  # at the end everything is measured


def test_precise_batch_norm_is_the_mean_over_batches_and_leaves_no_trace() -> None:
    (state,) = states_of("smoke/plain-8+precise_batches=3")
    run_all([state], iterations=5)
    experiment = state.run.experiment
    data, network = data_of(experiment), state.network
    norm = network.get_submodule("bn")
    means, variances = [], []
    for start in (0, 64, 128):
        pixels = data.train.pixels[start : start + 64].float() / 16 - data.mean
        with torch.no_grad():
            maps = network.get_submodule("conv")(pixels.permute(0, 3, 1, 2))
        means.append(maps.mean(dim=(0, 2, 3)))
        variances.append(maps.var(dim=(0, 2, 3), unbiased=True))
    before = digest(network)
    with precise_batch_norm(network, data, experiment.recipe, "ieee"):
        torch.testing.assert_close(norm.running_mean, torch.stack(means).mean(0))
        torch.testing.assert_close(norm.running_var, torch.stack(variances).mean(0))
        assert digest(network) != before
    assert digest(network) == before
    assert norm.momentum == 0.1
    assert network.training
    with precise_batch_norm(network.eval(), data, experiment.recipe, "ieee"):
        assert network.training
    assert not network.training


def test_precise_batch_norm_is_pytorchs_cumulative_average_without_waiting_for_its_number() -> None:
    (state,) = states_of("smoke/resnet-8-B+precise_batches=5")
    run_all([state], iterations=5)
    experiment = state.run.experiment
    data, theirs = data_of(experiment), copy.deepcopy(state.network)
    for norm in norms_of(theirs):
        norm.reset_running_stats()
        norm.momentum = None
    with torch.no_grad():
        for images, _ in itertools.islice(
            data.plain_batches(data.train, experiment.recipe.batch_size), 5
        ):
            theirs(images)
    seen = []
    norm = norms_of(state.network)[0]
    hook = norm.register_forward_pre_hook(lambda norm, _: seen.append(norm.momentum))
    with precise_batch_norm(state.network, data, experiment.recipe, "ieee"):
        assert digest(state.network) == digest(theirs)
    hook.remove()
    assert seen == [1 / number for number in range(1, 6)]  # never None


def norms_of(network: nn.Module) -> list[nn.BatchNorm2d]:
    return [module for module in network.modules() if isinstance(module, nn.BatchNorm2d)]


def test_evaluation_counts_by_hand() -> None:
    (state,) = states_of("smoke/plain-8")
    data = data_of(state.run.experiment)
    state.network.eval()
    pixels = (data.test.pixels.float() / 16 - data.mean).permute(0, 3, 1, 2)
    with torch.no_grad():
        logits = state.network(pixels)
    score = evaluate(state.network, data, data.test, "ieee")
    assert score.error == (logits.argmax(1) != data.test.labels).double().mean().item()
    assert score.loss == pytest.approx(F.cross_entropy(logits, data.test.labels).item(), rel=1e-5)


def test_measuring_keeps_no_graph() -> None:
    (state,) = states_of("smoke/plain-8+precise_batches=1")
    data, network = data_of(state.run.experiment), state.network
    graphs: list[bool] = []
    network.register_forward_hook(lambda _, __, logits: graphs.append(logits.requires_grad))
    evaluate(network, data, data.test, "ieee")
    measured = len(graphs)
    with precise_batch_norm(network, data, state.recipe, "ieee"):
        assert len(graphs) == measured + 1
    network(data.test.pixels[:2].permute(0, 3, 1, 2).float())
    assert graphs == [False] * (measured + 1) + [True]


def test_held_out_images_have_columns_of_their_own() -> None:
    (state,) = states_of("smoke/resnet-8-A+train_images=1200")
    rows = run_all([state])["smoke/resnet-8-A+train_images=1200"]
    assert [row["iteration"] for row in rows] == [19, 30]  # ceil(1200 / 64)
    errors = [row["validation_error"] for row in rows]
    assert all(error * 237 == pytest.approx(round(error * 237)) for error in errors)
    assert 0 < errors[-1] < 0.9
    assert rows[-1]["validation_loss"] > 0
