"""Identity witnesses: equal to the last bit where they must be, near in train mode, or refused."""

import re
from collections.abc import Callable
from dataclasses import replace
from functools import cache
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from resnet_bench.datasets.load import load_dataset
from resnet_bench.errors import UserError
from resnet_bench.networks.initialization import digest
from resnet_bench.suites.experiment import Experiment, Run
from resnet_bench.suites.network import NetworkSpec, Shortcut
from resnet_bench.suites.suite import find_experiment
from resnet_bench.training.batches import BatchStream
from resnet_bench.training.data import TrainingData
from resnet_bench.training.state import TrainingState, new_state
from resnet_bench.witness.comparison import compare_in_train_mode, errors_of, largest_difference
from resnet_bench.witness.construction import (
    build_witness,
    calibrate,
    deeper_experiment,
    stage_statistics,
)

CPU = torch.device("cpu")


def experiment_of(depth: int, shortcut: Shortcut, **fields: Any) -> Experiment:
    spec = NetworkSpec(depth=depth, shortcut=shortcut, **fields)
    smoke = find_experiment("smoke/plain-8")
    return replace(smoke, spec=spec, network_name=spec.name)


@cache
def digits() -> TrainingData:
    experiment = find_experiment("smoke/plain-8")
    return TrainingData(experiment, *load_dataset(experiment.dataset), CPU)


def as_if_trained(experiment: Experiment) -> TrainingState:
    """A state whose batch norms have scales, shifts and statistics like those of a trained one."""
    state = new_state(Run(experiment, 0), CPU)
    generator = torch.Generator().manual_seed(1)
    for module in state.network.modules():
        if isinstance(module, nn.BatchNorm2d):
            for tensor, low, high in (
                (module.weight, 0.5, 1.5),
                (module.bias, -0.5, 0.5),
                (module.running_mean, -1.0, 1.0),
                (module.running_var, 0.2, 3.0),
            ):
                assert tensor is not None
                tensor.data.uniform_(low, high, generator=generator)
        elif isinstance(module, nn.Linear):
            module.weight.data *= 10  # outputs that differ from image to image
    return state


@torch.no_grad()
def outputs(state: TrainingState, data: TrainingData, layout: torch.memory_format) -> Tensor:
    """Logits (360, 10) of all test images in evaluation mode, computed in `layout`."""
    network = state.network.eval().to(memory_format=layout)  # type: ignore[call-overload]
    ((images, _),) = data.plain_batches(data.test, 360)
    return network(images.contiguous(memory_format=layout))


@pytest.mark.parametrize(
    ("shortcut", "depths"),
    [("none", (32, 44, 56, 110)), ("A", (32, 56)), ("B", (32,)), ("C", (32,))],
)
def test_outputs_are_equal_bit_for_bit_on_the_whole_test_set(
    shortcut: Shortcut, depths: tuple[int, ...]
) -> None:
    source = as_if_trained(experiment_of(20, shortcut))
    data = digits()
    layouts = (torch.channels_last, torch.contiguous_format)
    expected = {layout: outputs(source, data, layout) for layout in layouts}
    assert expected[torch.channels_last].std() > 0.1
    for depth in depths:
        witness = build_witness(source, deeper_experiment(source.run.experiment, depth))
        for layout in layouts:
            assert torch.equal(outputs(witness, data, layout), expected[layout])


def test_the_untouched_network_of_that_depth_is_another_function() -> None:
    """So the equality above is not one of networks that forget their input."""
    source = as_if_trained(experiment_of(8, "none"))
    data = digits()
    deep = new_state(Run(deeper_experiment(source.run.experiment, 14), 0), CPU)
    assert largest_difference(source, deep, data) > 0.1
    witness = build_witness(source, deep.run.experiment)
    assert largest_difference(source, witness, data) == 0
    assert errors_of(witness, data).test_error == errors_of(source, data).test_error


def test_first_blocks_are_copies_and_added_ones_are_identities() -> None:
    source = as_if_trained(experiment_of(8, "none"))
    witness = build_witness(source, deeper_experiment(source.run.experiment, 14))
    ours, theirs = witness.network.state_dict(), source.network.state_dict()
    assert all(torch.equal(ours[name], theirs[name]) for name in theirs)
    added = {name.rsplit(".", 2)[0] for name in ours.keys() - theirs.keys()}
    assert added == {"stages.0.1", "stages.1.1", "stages.2.1"}
    kernel = torch.zeros(16, 16, 3, 3)
    kernel[range(16), range(16), 1, 1] = 1
    assert torch.equal(ours["stages.0.1.conv2.weight"], kernel)
    assert (ours["stages.0.1.bn2.running_var"] + 1e-5 == 1).all()


def test_added_residual_blocks_have_a_zero_last_scale_and_are_otherwise_untrained() -> None:
    source = as_if_trained(experiment_of(8, "A"))
    deep = deeper_experiment(source.run.experiment, 14)
    ours = build_witness(source, deep).network.state_dict()
    untrained = new_state(Run(deep, 0), CPU).network.state_dict()
    assert not ours["stages.1.1.bn2.weight"].any()
    for name in ("conv1.weight", "bn1.weight", "conv2.weight"):
        assert torch.equal(ours[f"stages.1.1.{name}"], untrained[f"stages.1.1.{name}"])


def test_stage_statistics_are_those_of_train_mode() -> None:
    state = as_if_trained(experiment_of(8, "none"))
    data = digits()
    before = digest(state.network)
    mean, variance = stage_statistics(state, data)[0]
    assert digest(state.network) == before
    net: Any = state.network
    expected = []
    for images, _ in list(data.plain_batches(data.train, 64))[:22]:  # 1437 images: 22 whole
        with torch.no_grad():
            x = net.stages[0](F.relu(net.train().bn(net.conv(images))))
        pixels = x.permute(1, 0, 2, 3).flatten(1)
        expected.append(torch.stack([pixels.mean(1), pixels.var(1, unbiased=False)]))
    torch.testing.assert_close(
        torch.stack([mean, variance]), torch.stack(expected).mean(0), rtol=1e-4, atol=1e-6
    )


def test_a_calibrated_witness_starts_near_its_source_in_train_mode_too() -> None:
    source = as_if_trained(experiment_of(8, "none"))
    experiment = source.run.experiment
    data, stream = digits(), BatchStream(experiment.recipe, 1437, 0)
    batches = [data.batch(stream.draw(number)) for number in range(3)]
    witness = build_witness(source, deeper_experiment(experiment, 20))
    before = digest(source.network)
    far = compare_in_train_mode(witness, source, batches)
    calibrate(witness, source, data)
    near = compare_in_train_mode(witness, source, batches)
    assert digest(source.network) == before
    assert near.batches == 3
    assert near.source_train_mode_loss == far.source_train_mode_loss
    assert near.max_loss_difference < 0.05 < far.mean_loss_difference
    assert near.mean_loss_difference <= near.max_loss_difference
    assert abs(near.train_mode_loss - near.source_train_mode_loss) <= near.mean_loss_difference
    assert largest_difference(source, witness, data) < 1e-4  # rounding, now that it scales


def test_a_residual_witness_needs_no_calibration() -> None:
    source = as_if_trained(experiment_of(8, "B"))
    experiment = source.run.experiment
    data, stream = digits(), BatchStream(experiment.recipe, 1437, 0)
    witness = build_witness(source, deeper_experiment(experiment, 14))
    before = digest(witness.network)
    calibrate(witness, source, data)
    assert digest(witness.network) == before
    near = compare_in_train_mode(witness, source, [data.batch(stream.draw(0))])
    assert near.max_loss_difference == near.max_error_difference == 0


def test_names_of_deeper_experiments() -> None:
    changed = find_experiment("smoke/plain-8+learning_rate=0.05")
    assert deeper_experiment(changed, 14).network_name == "plain-14+learning_rate=0.05"
    own = replace(changed, network_name="mine+learning_rate=0.05")
    assert deeper_experiment(own, 14).network_name == "mine-as-14+learning_rate=0.05"
    assert deeper_experiment(experiment_of(8, "A"), 8) == experiment_of(8, "A")


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: (experiment_of(20, "none"), 14), "a depth of 14 is less than its 20"),
        (lambda: (experiment_of(20, "none"), 57), "depth 57 is not 6n+2; the nearest are 56"),
        (lambda: (experiment_of(20, "A", activation="pre"), 26), "basic blocks of section 4.2"),
        (lambda: (experiment_of(20, "A", block="bottleneck"), 29), "basic blocks"),
        (lambda: (experiment_of(20, "none", normalization="none"), 26), "batch norm"),
        (lambda: (experiment_of(20, "none", conv_bias=True), 26), "no bias"),
        (lambda: (experiment_of(20, "C", projection_norm=False), 26), "batch norm"),
        (lambda: (find_experiment("digits-cures/plain-20-dirac"), 56), "basic blocks"),
        (lambda: (experiment_of(18, "B", architecture="imagenet"), 34), "basic blocks"),
    ],
)
def test_what_is_refused(make: Callable[[], tuple[Experiment, int]], message: str) -> None:
    experiment, depth = make()
    with pytest.raises(UserError, match=re.escape(message)):
        deeper_experiment(experiment, depth)
