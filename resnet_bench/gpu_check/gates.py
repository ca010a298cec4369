"""The gates of the fast path: what has to be equal, bit for bit or up to rounding.

Each returns what it compared, and raises GateError if that differs.
"""

import tempfile
from collections.abc import Callable, Iterable
from dataclasses import replace
from pathlib import Path

import torch
from torch import nn

from resnet_bench.gpu_check.site import GateError, Site, require_equal
from resnet_bench.suites.recipe import Precision
from resnet_bench.training import checkpoints
from resnet_bench.training.data import TrainingData
from resnet_bench.training.signals import measure_layers
from resnet_bench.training.state import TrainingState
from resnet_bench.training.step import eager_step

CPU = torch.device("cpu")
FLAT_STEPS, FLAT_BLOCK = 300, 50
SINGLE = 1e-5  # relative; a few steps in float32 against float64 stay below it


def graphs_are_eager_steps(site: Site, precision: Precision) -> str:
    group, reference = (site.states(site.names, precision) for _ in range(2))
    losses = site.train(group, graphs=True)
    if losses != site.train(reference, graphs=False):
        raise GateError("other losses")
    require_equal(group, reference)
    return (
        f"{len(group)} networks, {site.steps} steps, {len(losses) // 2} records: equal to the bit"
    )


def together_is_alone(site: Site, precision: Precision) -> str:
    """The contention of the whole sweep: all networks in all lanes; alone, without speedups."""
    names = list(site.experiments)
    group, others = (site.states(names, precision) for _ in range(2))
    step = site.step_of(group)
    site.train(group, step)
    alone = replace(site, speedups=())
    for other in others:
        alone.train([other])
    require_equal(group, others)
    return f"{len(group)} networks in {len(step.lanes)} lanes: equal to the bit"


def resumed_is_uninterrupted(site: Site, precision: Precision) -> str:
    """Through a checkpoint, in which one network is ahead of the others."""
    whole, pieces = (site.states(site.names, precision) for _ in range(2))
    site.train(whole)
    stop = site.drop - 2
    for state, end in zip(pieces, (stop + 3, stop, stop), strict=True):
        site.train([state], should_continue=_until([state], end))
    resumed = site.states(site.names, precision)
    with tempfile.TemporaryDirectory() as folder:
        for state, new in zip(pieces, resumed, strict=True):
            path = Path(folder, state.run.experiment.network_name)
            checkpoints.save(state, path)
            checkpoints.load(new, path)
            new.last_record = state.last_record
    site.train(resumed)
    require_equal(resumed, whole)
    return f"{len(resumed)} networks, stopped at {stop}: equal to the bit"


def with_setting(
    site: Site, gate: Callable[..., str], precision: Precision, **setting: object
) -> str:
    """What `gate` says of networks with another norm, or of steps with speedups."""
    return gate(replace(site, **setting), precision=precision)  # type: ignore[arg-type]


def _until(states: Iterable[TrainingState], end: int) -> Callable[[], bool]:
    return lambda: max(state.iteration for state in states) < end


def ieee_is_float64(site: Site) -> str:
    """IEEE float32 is a CPU's float64 up to rounding; TF32 is not, so that names are honest."""
    exact, ieee, tf32 = (
        _loss_after_steps(site, CPU, "ieee", double=True),
        _loss_after_steps(site, site.device, "ieee"),
        _loss_after_steps(site, site.device, "tf32"),
    )
    off = abs(ieee / exact - 1)
    if off > SINGLE:
        raise GateError(f"IEEE is off by {off:.1e}")
    if tf32 == ieee and site.device.type == "cuda":
        raise GateError("TF32 computes what IEEE does")
    return f"IEEE off by {off:.1e}, TF32 by {abs(tf32 / exact - 1):.1e}"


def _loss_after_steps(
    site: Site, device: torch.device, precision: Precision, *, double: bool = False
) -> float:
    """The summed loss of a few steps of a residual network, whose errors rounding hardly grows."""
    there = replace(site, device=device)
    (state,) = there.states([name for name in site.names if "resnet-" in name][:1], precision)
    state.network.to(torch.float64 if double else torch.float32)
    for iteration in range(3):
        images, labels = there.data.batch(there.stream.draw(iteration))
        eager_step([state], (images.double() if double else images, labels))
        state.iteration += 1
    return state.totals.loss.item()


def measuring_layers_changes_nothing(site: Site, precision: Precision) -> str:
    """Between captured steps, at the start and in mid-run."""
    measured, left_alone = (site.states(site.names, precision) for _ in range(2))
    rows = 0

    def measure() -> bool:
        nonlocal rows
        for state in measured:
            if state.iteration in (0, site.drop):
                rows += len(measure_layers(state, site.data))
        return True

    site.train(measured, should_continue=measure)
    site.train(left_alone)
    require_equal(measured, left_alone)
    return f"{rows} layers at 0 and {site.drop}: equal to the bit"


def batches_are_the_cpus(site: Site) -> str:
    draw = site.stream.draw(0)
    there = TrainingData(next(iter(site.experiments.values())), *site.images, CPU)
    ours, theirs = site.data.batch(draw), there.batch(draw)
    if not all(torch.equal(a.cpu(), b) for a, b in zip(ours, theirs, strict=True)):
        raise GateError("other pixels")
    return f"a batch of {site.batch}: equal to the bit"


def batch_norm_reads_its_momentum(site: Site) -> str:
    """A plan kept from an earlier call, with its momentum, would spoil precise statistics."""
    generator = torch.Generator(site.device).manual_seed(0)
    norm = nn.BatchNorm2d(16, device=site.device)
    sums = torch.zeros(16, device=site.device)
    for number, momentum in enumerate((0.1, 1.0, 1 / 2, 1 / 3, 1 / 4)):
        shape = (128, 16, 32, 32)
        images = torch.randn(shape, device=site.device, generator=generator) + number
        norm.momentum = momentum
        norm(images.to(memory_format=torch.channels_last))
        if number > 0:  # the second call, with momentum 1, forgets the first
            sums += images.mean(dim=(0, 2, 3))
    assert norm.running_mean is not None
    off = (norm.running_mean - sums / 4).abs().max().item()
    if not off < 1e-3:
        raise GateError(f"a mean over four batches is off by {off:.1e}")
    return f"a mean over four batches is off by {off:.1e}"


def memory_stays_flat(site: Site, precision: Precision) -> str:
    """All networks in their lanes, 300 steps; a stall would end this part by its time limit."""
    states = site.states(list(site.experiments), precision)
    step = site.step_of(states)
    reserved = []
    for iteration in range(FLAT_STEPS):
        step(states, site.data.batch(site.stream.draw(iteration)))
        for state in states:
            state.iteration = min(iteration + 1, site.steps - 1)
        if (iteration + 1) % FLAT_BLOCK == 0:
            reserved.append(_reserved_gibibytes(site.device))
    step.close()
    if max(reserved) > reserved[0]:
        raise GateError(f"memory grows: {', '.join(f'{size:.2f}' for size in reserved)} GiB")
    return f"{len(states)} networks, {FLAT_STEPS} steps, {reserved[0]:.1f} GiB"


def _reserved_gibibytes(device: torch.device) -> float:
    if device.type == "cpu":
        return 0.0
    torch.cuda.synchronize(device)
    return torch.cuda.memory_reserved(device) / 2**30
