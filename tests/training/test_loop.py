"""The loop: nothing but (recipe, seed) decides the weights."""

import copy
import math
from collections.abc import Sequence

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from resnet_bench.networks.initialization import digest
from resnet_bench.training.batches import BatchStream
from resnet_bench.training.loop import train
from resnet_bench.training.schedule import learning_rate_at
from resnet_bench.training.state import TrainingState
from resnet_bench.training.step import Batch, eager_step
from tests.support.states import data_of, run_all, states_of

NAMES = ("smoke/plain-8", "smoke/resnet-14-A", "smoke/resnet-8-B")


def test_the_same_run_twice_gives_the_same_bits() -> None:
    (first,), (second,), (other,) = (
        states_of(NAMES[1]),
        states_of(NAMES[1]),
        states_of(NAMES[1], seed=1),
    )
    assert run_all([first]) == run_all([second]) != run_all([other])
    assert digest(first.network) == digest(second.network) != digest(other.network)


def test_a_member_of_a_group_is_what_it_is_alone() -> None:
    group = states_of(*NAMES)
    rows = run_all(group)
    for name, state in zip(NAMES, group, strict=True):
        (alone,) = states_of(name)
        assert run_all([alone])[name] == rows[name]
        assert digest(alone.network) == digest(state.network)


def test_a_member_that_is_ahead_waits_for_the_others() -> None:
    (ahead,) = states_of(NAMES[0])
    run_all([ahead], iterations=17)
    assert ahead.iteration == 17
    group = [ahead, *states_of(NAMES[1])]
    run_all(group)
    assert all(state.finished for state in group)
    for name, state in zip(NAMES, group, strict=False):
        (alone,) = states_of(name)
        run_all([alone])
        assert digest(alone.network) == digest(state.network)


def test_the_loop_is_the_one_that_anybody_would_write() -> None:
    """A reference of a few lines: same losses, schedule, weight decay and momentum."""
    name = "smoke/plain-8+divide_by=2.0+drops=[3]+iterations=6+weight_decay=0.01"
    (state,) = states_of(name)
    experiment = state.run.experiment
    data = data_of(experiment)
    stream = BatchStream(experiment.recipe, experiment.train_images, 0)
    network = copy.deepcopy(state.network)
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
    (row,) = run_all([state])[name]
    assert row["train_loss"] == pytest.approx(sum(losses) / 6, rel=1e-5)
    assert row["learning_rate"] == 0.01
    for ours, theirs in zip(state.network.parameters(), network.parameters(), strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-3, atol=1e-5)


def test_a_diverged_member_is_named_by_its_iteration_and_the_others_go_on() -> None:
    names = ("smoke/plain-8+learning_rate=1e+30", "smoke/resnet-8-A")
    broken, sound = states_of(*names)
    (reference,) = states_of(names[0])
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
    assert not broken.active
    assert not broken.finished
    assert broken.iteration == broken.next_record
    assert not broken.record_due  # which would be measured at every step of the others
    assert rows[names[0]] == []
    (alone,) = states_of(names[1])
    assert rows[names[1]] == run_all([alone])[names[1]]
    assert digest(alone.network) == digest(sound.network)


def test_weights_that_the_last_update_breaks_are_a_divergence() -> None:
    """No loss is taken of them any more; an error of 90% would be that of class 0."""
    name = "smoke/plain-8+learning_rate=1e+30+drops=[]+iterations=1"
    (state,) = states_of(name)
    assert list(run_all([state]).values()) == [[]]
    assert state.diverged_at == state.iteration == 1


def test_a_network_that_overflows_in_evaluation_mode_alone_trains_on() -> None:
    name = "smoke/plain-8+drops=[]+iterations=2"
    (state,) = states_of(name)
    experiment = state.run.experiment
    data, stream = data_of(experiment), BatchStream(experiment.recipe, 1437, 0)
    step = 0

    def lagging(states: Sequence[TrainingState], batch: Batch) -> None:
        nonlocal step
        eager_step(states, batch)
        step += 1
        if step == 2:
            norm = next(m for m in state.network.modules() if isinstance(m, nn.BatchNorm2d))
            norm.state_dict()["running_mean"].fill_(-math.inf)

    ((_, row),) = train([state], stream, data, step=lagging)
    assert not math.isfinite(row.test_loss)
    assert state.finished
    assert row.precise_train_error is not None
    assert row.precise_train_error < 0.95


def test_batch_norm_over_part_of_a_batch() -> None:
    name = "smoke/plain-8+batch_norm_images=32+drops=[]+iterations=1"
    (state,) = states_of(name)
    experiment = state.run.experiment
    images, labels = data_of(experiment).batch(BatchStream(experiment.recipe, 1437, 0).draw(0))
    network = copy.deepcopy(state.network)
    expected = F.cross_entropy(torch.cat([network(images[:32]), network(images[32:])]), labels)
    whole = F.cross_entropy(copy.deepcopy(state.network)(images), labels)
    ((row,),) = run_all([state]).values()
    assert row["train_loss"] == pytest.approx(expected.item(), rel=1e-6)
    assert row["train_loss"] != pytest.approx(whole.item(), rel=1e-6)


def test_the_warmup_is_used() -> None:
    name = "smoke/plain-8+warmup_iterations=25+warmup_learning_rate=0.001"
    (state,) = states_of(name)
    rows = run_all([state])[name]
    assert rows[0]["learning_rate"] == 0.001
    assert rows[-1]["learning_rate"] == learning_rate_at(29, state.recipe) == 0.002


def test_adam_is_torchs_on_the_same_gradients() -> None:
    name = "smoke/resnet-8-B+divide_by=3.0+drops=[3]+learning_rate=0.001+optimizer=adam"
    (state,) = states_of(name + "+weight_decay=0.01")
    data, stream = data_of(state.run.experiment), BatchStream(state.recipe, 1437, 0)
    reference = [p.detach().clone().requires_grad_() for p in state.network.parameters()]
    adam = torch.optim.Adam(reference, 1e-3, (0.9, 0.999), weight_decay=0.01, foreach=False)
    for iteration in range(6):
        adam.param_groups[0]["lr"] = 1e-3 if iteration < 3 else 1e-3 / 3
        eager_step([state], data.batch(stream.draw(iteration)))
        state.iteration += 1
        for parameter, ours in zip(reference, state.network.parameters(), strict=True):
            assert ours.grad is not None
            parameter.grad = ours.grad.clone()
        adam.step()
        for parameter, ours in zip(reference, state.network.parameters(), strict=True):
            torch.testing.assert_close(ours, parameter, rtol=1e-6, atol=1e-7)
