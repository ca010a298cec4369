"""Whether a run is what its suite's file declares, in the folder of its name."""

from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from resnet_bench.errors import UserError
from resnet_bench.suites.experiment import Experiment
from resnet_bench.suites.suite import Suite, find_experiment
from resnet_bench.suites.validation import one_line

Text = Annotated[str, Field(max_length=1000)]
Number = Annotated[int, Field(ge=0, lt=2**63)]


class Typed(BaseModel):
    """Part of a JSON file, of which the analysis reads these keys."""

    model_config = ConfigDict(extra="allow", strict=True)


class _Identity(Typed):
    suite: Text
    experiment: Text
    dataset: Text
    network: dict[str, Any]
    recipe: dict[str, Any]
    cures: dict[str, dict[str, Any]]
    seed: Number
    precision: Text
    threads: Number
    digests: dict[str, Text]
    parameters: Number = 0


class _Attempt(Typed):
    device: Text
    processor: Text
    commit: Text | None
    dirty: bool | None
    seconds: float
    group_size: Annotated[int, Field(gt=0)]
    versions: dict[str, Text]


class _Description(Typed):
    identity: _Identity
    attempts: list[_Attempt]


def described(description: dict[str, Any], path: Path) -> dict[str, Any]:
    """A run.json with every key that the analysis reads, and values of their types.

    Raises UserError, which names `path`, for another one.
    """
    return checked(_Description, description, path, "not a run's description")


def checked(schema: type[Typed], contents: dict[str, Any], path: Path, what: str) -> dict[str, Any]:
    """`contents` if they are of the `schema`; raises UserError, which names `path`, if not."""
    try:
        schema.model_validate(contents)
    except ValidationError as error:
        raise UserError(f"{path}: {what}: {one_line(error)}") from error
    return contents


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
