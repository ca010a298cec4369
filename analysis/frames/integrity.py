"""Whether a run is what its suite's file declares, in the folder of its name."""

from typing import Any

from resnet_bench.errors import UserError
from resnet_bench.suites.experiment import Experiment
from resnet_bench.suites.suite import Suite, find_experiment


def declared_experiment(suite: Suite, network_name: str) -> Experiment | None:
    """The experiment that the suite file declares under this name; None if there is none."""
    for experiment in suite.experiments:
        if experiment.network_name == network_name:
            return experiment
    try:
        found = find_experiment(f"{suite.name}/{network_name}")
    except UserError:
        return None
    return found if found.network_name == network_name else None  # an alias is not declared


def mismatch(description: dict[str, Any], suite: Suite, folder_name: str) -> str:
    """How a run differs from what its suite file declares, in words; "" if it does not."""
    identity = description["identity"]
    if identity["suite"] != folder_name:
        return f"belongs to the suite {identity['suite']}"
    experiment = declared_experiment(suite, identity["experiment"].partition("/")[2])
    if experiment is None:
        return f"is no experiment of the suite file {suite.name}.toml"
    parts = [
        f"{part}.{key} is {identity[part].get(key)!r}, the suite file says {declared!r}"
        for part in ("network", "recipe")
        for key, declared in experiment.identity()[part].items()
        if identity[part].get(key) != declared
    ]
    if identity["cures"] != experiment.identity()["cures"]:
        parts.append("another version or other options of its cure")
    if identity["dataset"] != experiment.dataset.name:
        parts.append(f"dataset is {identity['dataset']}, not {experiment.dataset.name}")
    declared, executed = experiment.recipe.precision, identity["precision"]
    on_cpu = all(attempt["device"] == "cpu" for attempt in description["attempts"])
    # A CPU has no tf32: the runner computes in float32 and records "ieee" in run.json.
    if executed != declared and not (declared == "tf32" and executed == "ieee" and on_cpu):
        parts.append(f"ran in {executed}, the suite file says {declared}")
    return "; ".join(parts)
