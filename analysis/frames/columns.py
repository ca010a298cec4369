"""The columns of a run: what run.json and the suite file say, apart from its records."""

import re
from collections import Counter
from pathlib import Path
from typing import Any

from analysis.frames.integrity import declared_experiment, described, mismatch
from resnet_bench.datasets.definitions import DATASETS
from resnet_bench.errors import UserError, printable
from resnet_bench.networks.sizes import network_size
from resnet_bench.records.run_directory import RunDirectory, Summary
from resnet_bench.suites.compatibility import input_shape
from resnet_bench.suites.network import NetworkSpec
from resnet_bench.suites.recipe import Recipe
from resnet_bench.suites.suite import Suite
from resnet_bench.suites.validation import validate

RUN_COLUMNS = {
    "suite": "the suite's name: experiments/<suite>.toml",
    "dataset": "digits, cifar10, ...",
    "network": "the experiment's name: plain-56, resnet-56-A, or the one in the suite file;"
    " with +key=value for a changed setting",
    "variant": "the name in the suite file, if it is not made of family, depth and shortcut;"
    ' "" for plain-56, resnet-56-A, ...',
    "changed": 'the settings changed, such as "learning_rate=0.05"; "" for none',
    "family": "plain or resnet",
    "depth": "weighted layers",
    "shortcut": "none, A, B, C or 3x3",
    "cures": 'its cures: "mirrored", "mirrored(gain=2.0) + update-clip"; "" for none',
    "seed": "of weights and batches; one seed means the same batches for every network",
    "status": "finished, diverged, partial (not finished yet), missing (not begun) or damaged",
    "sealed": "whether its summary.json holds the SHA-256 of its files; False if not ended",
    "ended_at": "iteration at which it finished, or diverged; NA while it has not ended",
    "problem": 'how it differs from its suite file; "" if not. Figures leave such runs out',
    "parameters": "trainable numbers",
    "multiply_adds": "of one image's forward pass",
    "precision": "as executed: ieee, tf32 or bf16",
    "threads": "of the process",
    "device": "as executed; 'a then b' where attempts differ",
    "processor": "as executed; as device where attempts differ",
    "commit": "of the code, shortened; as device where attempts differ",
    "dirty": "whether the code had uncommitted changes",
    "torch": "version",
    "seconds_total": "training time of its group so far, s, without evaluation",
    "seconds_share": "seconds_total over the number of runs in the group; add up this one",
    "batch_stream": "digest of the batches; equal = the same images in the same order",
    "initial_weights": "digest of the weights before training",
    "initial_shared_weights": "digest of those weights that are not in shortcuts",
    "directory": "the run's folder",
}
# Of a damaged run whose name the suite does not declare: for the columns' types, and shown nowhere.
UNKNOWN = {"variant": "unknown", "changed": "", "shortcut": "none", "depth": 0, "cures": ""}
NETWORK_COLUMNS = {f"network.{key}": f"the network's {key}" for key in NetworkSpec.model_fields}
RECIPE_COLUMNS = {f"recipe.{key}": f"the recipe's {key}" for key in Recipe.model_fields}


def run_columns(
    directory: RunDirectory, summary: Summary | None, suite: Suite | None
) -> dict[str, Any]:
    """`RUN_COLUMNS` and settings of a run with a run.json. Raises UserError for an invalid one."""
    description = directory.description()
    assert description is not None  # the caller has found run.json
    description = described(description, directory.run_json)
    try:
        identity, attempts = description["identity"], description["attempts"]
        commits = [{"commit": str(attempt["commit"] or "unknown")[:10]} for attempt in attempts]
        specified = _specified(identity, str(directory.run_json))
        folder = f"{directory.path.parent.name}/{directory.path.name}"
        elsewhere = folder != f"{specified['network']}/seed-{identity['seed']}"
        declared = mismatch(description, suite, directory.path.parts[-3]) if suite else ""
        return specified | {
            "seed": identity["seed"],
            "status": summary.status if summary else "partial",
            "sealed": summary is not None and summary.seal is not None,
            "ended_at": summary.iteration if summary else None,
            "problem": declared or (printable(f"lies in the folder {folder}") if elsewhere else ""),
            "precision": identity["precision"],
            "threads": identity["threads"],
            "device": _of_attempts(attempts, "device"),
            "processor": _of_attempts(attempts, "processor"),
            "commit": _of_attempts(commits, "commit"),
            "dirty": any(attempt["dirty"] for attempt in attempts),
            "torch": _of_attempts([attempt["versions"] for attempt in attempts], "torch"),
            "seconds_total": sum(attempt["seconds"] for attempt in attempts),
            "seconds_share": sum(one["seconds"] / one["group_size"] for one in attempts),
            "directory": str(directory.path),
            **identity["digests"],
        }
    except (KeyError, TypeError, AttributeError, ZeroDivisionError) as error:
        raise UserError(f"{directory.run_json}: not a run's description: {error!r}") from error


def damaged_run_columns(
    directory: RunDirectory, error: UserError, suite: Suite | None
) -> dict[str, Any]:
    """The columns of a run that cannot be read: what its folder's names say, and the `error`."""
    network, seed = directory.path.parent.name, directory.path.name.removeprefix("seed-")
    experiment = declared_experiment(suite, network) if suite else None
    specified = UNKNOWN | {"suite": directory.path.parts[-3], "network": printable(network)}
    if experiment:
        specified = _specified(experiment.identity(), experiment.name)
    return specified | {
        "seed": int(seed) if seed.isdecimal() and len(seed) < 19 else -1,
        "status": "damaged",
        "sealed": False,
        "problem": printable(directory.without_path(error)),
        "directory": str(directory.path),
    }


def missing_run_columns(
    suite: Suite, path: Path, found: list[dict[str, Any]]
) -> list[dict[str, Any]]:
    """The columns of the runs that the suite declares and that are not among those `found`.

    Declared are the suite's experiments, at each seed at which several of them were begun: one
    alone at a seed was tried by itself. `path`: the suite's folder.
    """
    declared = {experiment.network_name for experiment in suite.experiments}
    begun = {(fact["network"], fact["seed"]) for fact in found if fact["network"] in declared}
    counts = Counter(seed for _, seed in begun)
    seeds = [seed for seed, count in counts.items() if count > 1 or max(counts.values()) == 1]
    return [
        _specified(experiment.identity(), experiment.name)
        | {
            "seed": seed,
            "status": "missing",
            "sealed": False,
            "problem": "",
            "directory": str(path / experiment.network_name / f"seed-{seed}"),
        }
        for experiment in suite.experiments
        for seed in sorted(seeds)
        if (experiment.network_name, seed) not in begun
    ]


def _specified(identity: dict[str, Any], source: str) -> dict[str, Any]:
    """The columns that an experiment determines. UserError, which names `source`, if invalid.

    `identity` as from `Experiment.identity`.
    """
    network, recipe, dataset = (identity[part] for part in ("network", "recipe", "dataset"))
    name = printable(identity["experiment"].partition("/")[2])
    specification = validate(NetworkSpec, network, f"{source}: network")
    if dataset not in DATASETS:
        raise UserError(f"{source}: unknown data set {dataset!r}")
    images = input_shape(DATASETS[dataset], validate(Recipe, recipe, f"{source}: recipe"))
    size = network_size(specification, images)
    # A plus that no key follows is part of a value, such as 1e+30.
    given, *changes = re.split(r"\+(?=[A-Za-z_]+=)", name)
    return {
        "suite": identity["suite"],
        "dataset": dataset,
        "network": name,
        "variant": "" if given == specification.name else given,
        "changed": "+".join(changes),
        "family": specification.family,
        "depth": specification.depth,
        "shortcut": specification.shortcut,
        "cures": _cures(identity["cures"]),
        "parameters": identity.get("parameters", size.parameters),
        "multiply_adds": size.multiply_adds,
        # Lists become tuples, which pandas can group by.
        **{
            f"{part}.{key}": tuple(value) if isinstance(value, list) else value
            for part in ("network", "recipe")
            for key, value in identity[part].items()
        },
    }


def _cures(cures: dict[str, dict[str, Any]]) -> str:
    """ "mirrored(gain=2.0) + update-clip" """
    names = []
    for name, cure in cures.items():
        options = ", ".join(f"{key}={value}" for key, value in cure["options"].items())
        names.append(f"{name}({options})" if options else name)
    return " + ".join(names)


def _of_attempts(attempts: list[dict[str, Any]], key: str) -> str:
    """The value that all attempts of a run share, or the distinct ones: "cpu then cuda"."""
    return " then ".join(dict.fromkeys(str(attempt[key]) for attempt in attempts))
