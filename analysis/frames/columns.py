"""What is known of a run apart from its records: the columns from run.json and the suite file."""

import re
from pathlib import Path
from typing import Any

from analysis.frames.integrity import mismatch
from resnet_bench.datasets.definitions import DATASETS
from resnet_bench.errors import UserError
from resnet_bench.networks.sizes import network_size
from resnet_bench.records.run_directory import RunDirectory
from resnet_bench.suites.compatibility import input_shape
from resnet_bench.suites.network import NetworkSpec
from resnet_bench.suites.recipe import Recipe
from resnet_bench.suites.suite import Suite
from resnet_bench.suites.validation import validate

RUN_COLUMNS = {
    "suite": "the suite's name: experiments/<suite>.toml",
    "dataset": "digits, cifar10, ...",
    "network": "the experiment's name: plain-56, resnet-56-A, or what the suite file calls it;"
    " with +key=value for a changed setting",
    "variant": "the name that the suite file gives it, where that says more than family, depth and"
    ' shortcut; "" for plain-56, resnet-56-A, ...',
    "changed": 'the settings changed, such as "learning_rate=0.05"; "" for none',
    "family": "plain or resnet",
    "depth": "weighted layers",
    "shortcut": "none, A, B, C or 3x3",
    "seed": "of weights and batches; one seed means the same batches for every network",
    "status": "finished, diverged, partial (not done yet) or missing (not begun)",
    "ended_at": "iteration at which it finished, or diverged; NA while it has not ended",
    "problem": 'how it differs from its suite file; "" if not. Figures leave such runs out',
    "parameters": "trainable numbers",
    "multiply_adds": "of one image's forward pass",
    "precision": "as executed: ieee, tf32 or bf16",
    "threads": "of the process",
    "device": "as executed; 'a then b' where attempts differ",
    "processor": "the same",
    "commit": "of the code, shortened; the same",
    "dirty": "whether the code had uncommitted changes",
    "torch": "version",
    "seconds_total": "training time of its group so far, s, without evaluation",
    "seconds_share": "the same, divided by the group's runs: what sums over runs are made of",
    "batch_stream": "digest of the batches; equal = the same images in the same order",
    "initial_weights": "digest of the weights before training",
    "initial_shared_weights": "the same without the shortcuts' own",
    "directory": "the run's folder",
}
NETWORK_COLUMNS = {f"network.{key}": f"the network's {key}" for key in NetworkSpec.model_fields}
RECIPE_COLUMNS = {f"recipe.{key}": f"the recipe's {key}" for key in Recipe.model_fields}


def run_columns(directory: RunDirectory, suite: Suite | None) -> dict[str, Any]:
    """The columns of a run that has a run.json. UserError if that is not a run's description."""
    description = directory.description()
    summary = directory.summary()
    try:
        assert description is not None  # the caller found it
        identity, attempts = description["identity"], description["attempts"]
        name = identity["experiment"].partition("/")[2]
        commits = [{"commit": str(attempt["commit"] or "unknown")[:10]} for attempt in attempts]
        return _specified(
            identity["suite"],
            name,
            identity["dataset"],
            identity["network"],
            identity["recipe"],
            str(directory.run_json),
        ) | {
            "seed": identity["seed"],
            "status": directory.status(),
            "ended_at": summary.iteration if summary else None,
            "problem": mismatch(description, suite, directory.path.parts[-3]) if suite else "",
            "precision": identity["precision"],
            "threads": identity["threads"],
            "device": _of_attempts(attempts, "device"),
            "processor": _of_attempts(attempts, "processor"),
            "commit": _of_attempts(commits, "commit"),
            "dirty": any(attempt["dirty"] for attempt in attempts),
            "torch": _of_attempts([attempt["versions"] for attempt in attempts], "torch"),
            "seconds_total": sum(attempt["seconds"] for attempt in attempts),
            "seconds_share": sum(
                attempt["seconds"] / attempt["group_size"] for attempt in attempts
            ),
            "directory": str(directory.path),
            **identity["digests"],
        }
    except (KeyError, TypeError, AttributeError, ZeroDivisionError) as error:
        raise UserError(f"{directory.run_json}: not a run's description: {error!r}") from error


def missing_run_columns(
    suite: Suite, path: Path, there: list[dict[str, Any]]
) -> list[dict[str, Any]]:
    """The columns of the runs that the suite declares and that are not `there`, in `path`.

    The suite's experiments at each seed that any of them has been run at.
    """
    declared = {experiment.network_name for experiment in suite.experiments}
    begun = {(fact["network"], fact["seed"]) for fact in there if fact["network"] in declared}
    return [
        _specified(
            suite.name,
            experiment.network_name,
            experiment.dataset.name,
            experiment.identity()["network"],
            experiment.identity()["recipe"],
            experiment.name,
        )
        | {
            "seed": seed,
            "status": "missing",
            "problem": "",
            "directory": str(path / experiment.network_name / f"seed-{seed}"),
        }
        for experiment in suite.experiments
        for seed in sorted({seed for _, seed in begun})
        if (experiment.network_name, seed) not in begun
    ]


def _specified(
    suite: str,
    name: str,
    dataset: str,
    network: dict[str, Any],
    recipe: dict[str, Any],
    where: str,
) -> dict[str, Any]:
    """The columns that follow from what an experiment is; UserError names `where` it is said."""
    specification = validate(NetworkSpec, network, f"{where}: network")
    if dataset not in DATASETS:
        raise UserError(f"{where}: unknown data set {dataset!r}")
    images = input_shape(DATASETS[dataset], validate(Recipe, recipe, f"{where}: recipe"))
    size = network_size(specification, images)
    # A plus before anything but a key belongs to a value, such as 1e+30.
    given, *changes = re.split(r"\+(?=[A-Za-z_]+=)", name)
    return {
        "suite": suite,
        "dataset": dataset,
        "network": name,
        "variant": "" if given == specification.name else given,
        "changed": "+".join(changes),
        "family": specification.family,
        "depth": specification.depth,
        "shortcut": specification.shortcut,
        "parameters": size.parameters,
        "multiply_adds": size.multiply_adds,
        **_prefixed("network", network),
        **_prefixed("recipe", recipe),
    }


def _prefixed(part: str, fields: dict[str, Any]) -> dict[str, Any]:
    """{"recipe.drops": (180, 270), ...}: lists as tuples, so that they can be compared."""
    return {
        f"{part}.{key}": tuple(value) if isinstance(value, list) else value
        for key, value in fields.items()
    }


def _of_attempts(attempts: list[dict[str, Any]], key: str) -> str:
    """The value that all attempts of a run share, or every one in turn: "cpu then cuda"."""
    return " then ".join(dict.fromkeys(str(attempt[key]) for attempt in attempts))
