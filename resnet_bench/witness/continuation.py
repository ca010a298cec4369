"""Training on from a witness: does SGD stay at a good solution that it was given?

The witness is trained as a network of its depth, by the same loop on the same batches, at a
constant learning rate, one state a rate; only where it starts differs. A witness of the source's
own depth is a copy of it: what training on does to the source, for comparison.
"""

from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import asdict, replace
from pathlib import Path

from resnet_bench.networks.initialization import digest
from resnet_bench.records.epochs import EpochRecord
from resnet_bench.records.provenance import new_attempt
from resnet_bench.records.run_directory import RunDirectory, Summary, locked
from resnet_bench.suites.experiment import Experiment, Run
from resnet_bench.suites.recipe import Recipe
from resnet_bench.suites.validation import validate
from resnet_bench.training.batches import BatchStream
from resnet_bench.training.data import TrainingData
from resnet_bench.training.loop import train
from resnet_bench.training.precision import executed_precision
from resnet_bench.training.state import TrainingState, new_state


def rate_folder(folder: Path, rate: float) -> Path:
    """Where the continuation at `rate` is, beside the witness.json in `folder`."""
    return folder / f"learning_rate={rate}"


def rates_ended(folder: Path) -> list[str]:
    """The names of the continuations in `folder` that have ended, in the order of their rates."""
    ended = (path.parent.name for path in folder.glob("learning_rate=*/summary.json"))
    return sorted(ended, key=lambda name: float(name.partition("=")[2]))


def constant_rate(experiment: Experiment, rate: float) -> Experiment:
    """`experiment` at one learning rate throughout, without drops or warm-up.

    Clean and precise errors are measured at every record: they are what this is about. Raises
    UserError for a rate that is not positive.
    """
    changes = {
        "learning_rate": rate,
        "drops": (),
        "warmup_iterations": 0,
        "clean_every": 1,
        "layers_at": (),
    }
    name = f"{experiment.network_name}+learning_rate={rate}"
    recipe = validate(Recipe, {**experiment.recipe.model_dump(), **changes}, name)
    return replace(experiment, network_name=name, recipe=recipe)


def train_on(
    witness: TrainingState,
    source: TrainingState,
    rates: Sequence[float],
    folder: Path,
    data: TrainingData,
) -> Iterator[tuple[float, EpochRecord]]:
    """Train `witness` on at each of `rates`, in lockstep, yielding each record once it is on disk.

    What has ended before is skipped; what was broken off starts again, since nothing but its
    rows was kept. Raises UserError if a folder holds the continuation of another witness.
    """
    experiment, seed = witness.run.experiment, witness.run.seed
    with ExitStack() as locks:
        opened: dict[str, tuple[float, TrainingState, RunDirectory]] = {}
        for rate in rates:
            run = Run(constant_rate(experiment, rate), seed)
            directory = RunDirectory(rate_folder(folder, rate))
            directory.create()
            locks.enter_context(locked(directory))
            if _begin(directory, run, source):
                opened[run.name] = (rate, _at_the_witness(run, witness), directory)
        states = [state for _, state, _ in opened.values()]
        stream = BatchStream(experiment.recipe, experiment.train_images, seed)
        for state, row in train(states, stream, data):
            rate, _, directory = opened[state.run.name]
            directory.append(row)
            yield rate, row
        for _, state, directory in opened.values():
            directory.write_summary(_summary(state))


def _begin(directory: RunDirectory, run: Run, source: TrainingState) -> bool:
    """Whether the continuation has to be trained; if so its directory is that of a new one."""
    identity = {
        **run.identity(),
        "precision": executed_precision(run.experiment.recipe.precision, source.device),
        "source": {"experiment": source.run.experiment.name, "weights": digest(source.network)},
    }
    directory.check_identity(identity)
    if directory.summary() is not None:
        return False
    attempt = new_attempt(source.device, 1, 0, 0.0)
    directory.write_description({"identity": identity, "attempts": [attempt]})
    directory.keep_rows(0)
    return True


def _at_the_witness(run: Run, witness: TrainingState) -> TrainingState:
    """A state of `run` with the weights and statistics of `witness`, and no momentum yet."""
    state = new_state(run, witness.device)
    state.network.load_state_dict(witness.network.state_dict())
    return state


def _summary(state: TrainingState) -> Summary:
    diverged = state.diverged_at is not None
    return Summary(
        status="diverged" if diverged else "finished",
        iteration=state.diverged_at or state.iteration,
        final=asdict(state.last_record) if state.last_record else {},
        seconds=state.seconds,
    )
