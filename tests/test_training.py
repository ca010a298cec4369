"""The loop: what a record says, and that nothing but (recipe, seed) decides the weights."""

import copy
import math
from collections.abc import Sequence
from typing import Any

import pytest
import torch
from torch.nn import functional as F

from resnet_bench.batches import BatchStream
from resnet_bench.data import TrainingData
from resnet_bench.errors import UserError
from resnet_bench.evaluation import evaluate, precise_batch_norm
from resnet_bench.experiments import Experiment, Run, find_experiment
from resnet_bench.initialization import digest
from resnet_bench.precision import autocast, executed_precision, find_device
from resnet_bench.records import TIME_COLUMNS, EpochRecord
from resnet_bench.schedule import learning_rate_at
from resnet_bench.sources import load_dataset
from resnet_bench.training import Member, eager_step, new_member, train

CPU = torch.device("cpu")
NAMES = ("smoke/plain-8", "smoke/resnet-14-A", "smoke/resnet-8-B")


def data_of(experiment: Experiment) -> TrainingData:
    return TrainingData(experiment, *load_dataset(experiment.dataset), CPU)


def members_of(*names: str, seed: int = 0) -> list[Member]:
    return [new_member(Run(find_experiment(name), seed), CPU) for name in names]


def run_all(
    members: Sequence[Member], iterations: int | None = None
) -> dict[str, list[dict[str, Any]]]:
    """Train, up to `iterations` if given; the rows of each member, without their times."""
    experiment = members[0].run.experiment
    stream = BatchStream(experiment.recipe, experiment.train_images, members[0].run.seed)
    rows: dict[str, list[dict[str, Any]]] = {m.run.experiment.name: [] for m in members}

    def safe_point() -> bool:
        return iterations is None or max(m.iteration for m in members) < iterations

    for member, record in train(members, stream, data_of(experiment), safe_point=safe_point):
        rows[member.run.experiment.name].append(without_times(record))
    return rows


def without_times(record: EpochRecord) -> dict[str, Any]:
    return {k: v for k, v in vars(record).items() if k not in TIME_COLUMNS}


def test_the_same_run_twice_gives_the_same_bits() -> None:
    (first,), (second,), (other,) = (
        members_of(NAMES[1]),
        members_of(NAMES[1]),
        members_of(NAMES[1], seed=1),
    )
    assert run_all([first]) == run_all([second]) != run_all([other])
    assert digest(first.network) == digest(second.network) != digest(other.network)


def test_a_member_of_a_group_is_what_it_is_alone() -> None:
    group = members_of(*NAMES)
    rows = run_all(group)
    for name, member in zip(NAMES, group, strict=True):
        (alone,) = members_of(name)
        assert run_all([alone])[name] == rows[name]
        assert digest(alone.network) == digest(member.network)


def test_a_member_that_is_ahead_waits_for_the_others() -> None:
    (ahead,) = members_of(NAMES[0])
    run_all([ahead], iterations=17)
    assert ahead.iteration == 17
    group = [ahead, *members_of(NAMES[1])]
    run_all(group)
    assert all(member.finished for member in group)
    for name, member in zip(NAMES, group, strict=False):
        (alone,) = members_of(name)
        run_all([alone])
        assert digest(alone.network) == digest(member.network)


def test_the_loop_is_the_one_that_anybody_would_write() -> None:
    """A reference of a few lines: same losses, schedule, weight decay and momentum."""
    name = "smoke/plain-8+divide_by=2.0+drops=[3]+iterations=6+weight_decay=0.01"
    (member,) = members_of(name)
    experiment = member.run.experiment
    data = data_of(experiment)
    stream = BatchStream(experiment.recipe, experiment.train_images, 0)
    network = copy.deepcopy(member.network)
    velocity = {n: torch.zeros_like(p) for n, p in network.named_parameters()}
    losses = []
    for iteration in range(6):
        images, labels = data.batch(stream.draw(iteration))
        loss = F.cross_entropy(network(images.contiguous()), labels)
        network.zero_grad()
        loss.backward()
        losses.append(loss.item())
        rate = 0.02 if iteration < 3 else 0.01
        with torch.no_grad():
            for n, p in network.named_parameters():
                assert p.grad is not None
                velocity[n] = 0.9 * velocity[n] + p.grad + 0.01 * p
                p.sub_(rate * velocity[n])
    (row,) = run_all([member])[name]
    assert row["train_loss"] == pytest.approx(sum(losses) / 6, rel=1e-5)
    assert row["learning_rate"] == 0.01
    for ours, theirs in zip(member.network.parameters(), network.parameters(), strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-3, atol=1e-5)


def test_running_errors_cover_the_iterations_since_the_last_record() -> None:
    (member,) = members_of("smoke/plain-8")
    experiment = member.run.experiment
    data, stream = data_of(experiment), BatchStream(experiment.recipe, 1437, 0)
    wrong = []
    for iteration in range(30):
        images, labels = data.batch(stream.draw(iteration))
        with torch.no_grad():
            logits = copy.deepcopy(member.network)(images)
        wrong.append((logits.argmax(1) != labels).float().mean().item())
        eager_step([member], (images, labels))
        member.iteration += 1
    (again,) = members_of("smoke/plain-8")
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
    (member,), (whole,) = (members_of(name) for name in names)
    experiment = member.run.experiment
    stream = BatchStream(experiment.recipe, experiment.train_images, 0)
    records = [record for _, record in train([member], stream, data_of(experiment))]
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


def test_a_diverged_member_is_named_by_its_iteration_and_the_others_go_on() -> None:
    names = ("smoke/plain-8+learning_rate=1e+30", "smoke/resnet-8-A")
    broken, sound = members_of(*names)
    (reference,) = members_of(names[0])
    experiment = broken.run.experiment
    data, stream = data_of(experiment), BatchStream(experiment.recipe, 1437, 0)
    first_bad = 0
    while not first_bad:
        images, labels = data.batch(stream.draw(reference.iteration))
        before = reference.totals.loss.item()
        eager_step([reference], (images, labels))
        reference.iteration += 1
        if not math.isfinite(reference.totals.loss.item() - before):
            first_bad = reference.iteration
    rows = run_all([broken, sound])
    assert broken.diverged_at == first_bad
    assert not broken.living
    assert not broken.finished
    assert rows[names[0]] == []
    (alone,) = members_of(names[1])
    assert rows[names[1]] == run_all([alone])[names[1]]
    assert digest(alone.network) == digest(sound.network)


def test_measuring_does_not_touch_training() -> None:
    often, seldom = "smoke/plain-8", "smoke/plain-8+clean_every=100"
    (first,), (second,) = members_of(often), members_of(seldom)
    many, few = run_all([first])[often], run_all([second])[seldom]
    assert digest(first.network) == digest(second.network)
    assert many[0]["clean_train_error"] is not None
    assert few[0]["clean_train_error"] is None
    assert few[-1] == many[-1]  # at the end everything is measured


def test_precise_batch_norm_is_the_mean_over_batches_and_leaves_no_trace() -> None:
    (member,) = members_of("smoke/plain-8+precise_batches=3")
    run_all([member], iterations=5)
    experiment = member.run.experiment
    data, network = data_of(experiment), member.network
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


def test_evaluation_counts_by_hand() -> None:
    (member,) = members_of("smoke/plain-8")
    data = data_of(member.run.experiment)
    member.network.eval()
    pixels = (data.test.pixels.float() / 16 - data.mean).permute(0, 3, 1, 2)
    with torch.no_grad():
        logits = member.network(pixels)
    score = evaluate(member.network, data, data.test, "ieee")
    assert score.error == (logits.argmax(1) != data.test.labels).double().mean().item()
    assert score.loss == pytest.approx(F.cross_entropy(logits, data.test.labels).item(), rel=1e-5)


def test_held_out_images_have_columns_of_their_own() -> None:
    (member,) = members_of("smoke/resnet-8-A+train_images=1200")
    rows = run_all([member])["smoke/resnet-8-A+train_images=1200"]
    assert [row["iteration"] for row in rows] == [19, 30]  # ceil(1200 / 64)
    errors = [row["validation_error"] for row in rows]
    assert all(error * 237 == pytest.approx(round(error * 237)) for error in errors)
    assert 0 < errors[-1] < 0.9
    assert rows[-1]["validation_loss"] > 0


def test_batch_norm_over_part_of_a_batch() -> None:
    name = "smoke/plain-8+batch_norm_images=32+drops=[]+iterations=1"
    (member,) = members_of(name)
    experiment = member.run.experiment
    images, labels = data_of(experiment).batch(BatchStream(experiment.recipe, 1437, 0).draw(0))
    network = copy.deepcopy(member.network)
    expected = F.cross_entropy(torch.cat([network(images[:32]), network(images[32:])]), labels)
    whole = F.cross_entropy(copy.deepcopy(member.network)(images), labels)
    ((row,),) = run_all([member]).values()
    assert row["train_loss"] == pytest.approx(expected.item(), rel=1e-6)
    assert row["train_loss"] != pytest.approx(whole.item(), rel=1e-6)


def test_precision_is_what_the_device_can_do() -> None:
    assert executed_precision("tf32", CPU) == "ieee"
    assert executed_precision("bf16", CPU) == "bf16"
    assert executed_precision("tf32", torch.device("cuda")) == "tf32"
    layer = torch.nn.Linear(2, 2)
    with autocast("bf16", CPU):
        assert layer(torch.ones(1, 2)).dtype == torch.bfloat16
    with autocast("ieee", CPU):
        assert layer(torch.ones(1, 2)).dtype == torch.float32


@pytest.mark.parametrize("name", ["cuda:99", "tpu", "mps", "cud"])
def test_a_device_that_is_not_there(name: str) -> None:
    with pytest.raises(UserError, match=name):
        find_device(name)


def test_the_warmup_is_used() -> None:
    name = "smoke/plain-8+warmup_iterations=25+warmup_learning_rate=0.001"
    (member,) = members_of(name)
    rows = run_all([member])[name]
    assert rows[0]["learning_rate"] == 0.001
    assert rows[-1]["learning_rate"] == learning_rate_at(29, member.recipe) == 0.002


@pytest.mark.gpu
def test_the_same_run_on_a_gpu() -> None:
    """Close to the CPU's, within what another order of summation does over a few steps."""
    if not torch.cuda.is_available():
        pytest.skip("no CUDA device")
    name = "smoke/resnet-8-A+iterations=5+drops=[]"
    run = Run(find_experiment(name), 0)
    member = new_member(run, torch.device("cuda"))
    recipe, images = run.experiment.recipe, run.experiment.train_images
    data = TrainingData(run.experiment, *load_dataset(run.experiment.dataset), torch.device("cuda"))
    ((_, record),) = train([member], BatchStream(recipe, images, 0), data)
    (reference,) = members_of(name)
    (row,) = run_all([reference])[name]
    assert record.train_loss == pytest.approx(row["train_loss"], rel=1e-3)


def test_adam_is_torchs_on_the_same_gradients() -> None:
    name = "smoke/resnet-8-B+divide_by=3.0+drops=[3]+learning_rate=0.001+optimizer=adam"
    (member,) = members_of(name + "+weight_decay=0.01")
    data, stream = data_of(member.run.experiment), BatchStream(member.recipe, 1437, 0)
    reference = [p.detach().clone().requires_grad_() for p in member.network.parameters()]
    adam = torch.optim.Adam(reference, 1e-3, (0.9, 0.999), weight_decay=0.01, foreach=False)
    for iteration in range(6):
        adam.param_groups[0]["lr"] = 1e-3 if iteration < 3 else 1e-3 / 3
        eager_step([member], data.batch(stream.draw(iteration)))
        member.iteration += 1
        for parameter, ours in zip(reference, member.network.parameters(), strict=True):
            assert ours.grad is not None
            parameter.grad = ours.grad.clone()
        adam.step()
        for parameter, ours in zip(reference, member.network.parameters(), strict=True):
            torch.testing.assert_close(ours, parameter, rtol=1e-6, atol=1e-7)
