"""How W&B names, tags and filters a run."""

from typing import Any

from resnet_bench.networks.sizes import network_size
from resnet_bench.suites.experiment import Run


def short_name(run: Run) -> str:
    return f"{run.experiment.network_name}-s{run.seed}"


def tags_of(run: Run) -> list[str]:
    spec = run.experiment.spec
    tags = [run.experiment.suite, spec.family, f"depth-{spec.depth}"]
    tags += [f"cure-{cure.name}" for cure in run.experiment.cures]
    return [tag[:64] for tag in tags]  # W&B's limit


def config_of(run: Run, identity: dict[str, Any]) -> dict[str, Any]:
    """The run's identity and network, with flat keys, by which dashboards filter and group."""
    experiment = run.experiment
    config: dict[str, Any] = {}
    for key, value in identity.items():
        if isinstance(value, dict):
            prefix = "" if key in ("network", "recipe") else f"{key}_"
            config |= {prefix + inner: item for inner, item in value.items()}
        else:
            config[key] = value
    return config | {
        "suite": experiment.suite,
        "network": experiment.network_name,
        "family": experiment.spec.family,
        "depth": experiment.spec.depth,
        "shortcut": experiment.spec.shortcut,
        "dataset": experiment.dataset.name,
        "seed": run.seed,
        "cure": " + ".join(map(str, experiment.cures)),
        "parameters": identity.get("parameters")
        or network_size(experiment.spec, experiment.images).parameters,
    }
