"""The schema of a suite file in experiments/."""

from pathlib import Path
from typing import Annotated, Any

from pydantic import ConfigDict, Field

from resnet_bench.errors import UserError
from resnet_bench.suites.network import NetworkSpec, Shortcut
from resnet_bench.suites.recipe import Recipe
from resnet_bench.suites.validation import Specification, validate

NAME = r"[A-Za-z0-9][A-Za-z0-9._-]{0,199}"  # of a suite, or of an [experiments.<name>] table

LARGEST = 2**20  # bytes


class NetworkGrid(Specification):
    """The [networks] table: every depth with every shortcut.

    Its other keys are fields of `NetworkSpec` for all networks.
    """

    model_config = ConfigDict(extra="allow", frozen=True, strict=True)

    depths: Annotated[tuple[int, ...], Field(min_length=1)]
    shortcuts: Annotated[tuple[Shortcut, ...], Field(min_length=1)]

    def specs(self, where: str) -> list[NetworkSpec]:
        common = self.model_extra or {}
        return [
            validate(NetworkSpec, {**common, "depth": depth, "shortcut": shortcut}, where)
            for shortcut in self.shortcuts
            for depth in self.depths
        ]


class Treatment(Specification):
    """A change of a network or recipe, cures, or both: a [treatments.<name>] table."""

    network: dict[str, Any] = Field(default_factory=dict)
    recipe: dict[str, Any] = Field(default_factory=dict)
    # The name of a cure, or a table of options for each name.
    cure: str | dict[str, dict[str, Any]] = Field(default_factory=dict)

    def cures(self) -> dict[str, dict[str, Any]]:
        """The options of each cure, by its name."""
        return {self.cure: {}} if isinstance(self.cure, str) else self.cure


class NamedExperiment(Treatment):
    """An [experiments.<name>] table: changes of another experiment, or a whole one."""

    like: str | None = None  # an experiment of the suite; None: `network` is complete
    dataset: str | None = None


class SuiteFile(Specification):
    """The schema of a file in experiments/."""

    dataset: str
    recipe: Recipe
    networks: NetworkGrid | None = None
    experiments: dict[str, NamedExperiment] = Field(default_factory=dict)
    # Every network of [networks] is repeated with one treatment of each list, in every combination;
    # "" is none. A treatment is a table of this name, or the cure of this name.
    cross: tuple[tuple[str, ...], ...] = ()
    treatments: dict[str, Treatment] = Field(default_factory=dict)
    # Recipe keys and values: every experiment is repeated with each of them.
    vary: dict[str, tuple[Any, ...]] = Field(default_factory=dict)

    def treated(self, like: str, names: list[str]) -> NamedExperiment:
        """An experiment that is `like` another, with all treatments of these `names`."""
        merged: dict[str, Any] = {"network": {}, "recipe": {}, "cure": {}}
        for name in names:
            table = self.treatments.get(name, Treatment(cure=name))
            merged["network"] |= table.network
            merged["recipe"] |= table.recipe
            merged["cure"] |= table.cures()
        return NamedExperiment(like=like, **merged)


def read_text(path: Path) -> str:
    """The text of a suite's file; UserError if it cannot be read, or is none by its size."""
    try:
        if path.stat().st_size > LARGEST:
            raise UserError(f"{path.name}: too large for a suite: more than {LARGEST:,} bytes")
        return path.read_text(encoding="utf-8-sig")  # editors of Windows begin with a mark
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"{path.name}: cannot be read as UTF-8: {error}") from error


def opening_comment(text: str) -> str:
    """The comment that a suite's file begins with: its question, source, expectation and time."""
    lines = []
    for line in text.splitlines():
        if not line.startswith("#"):
            break
        lines.append(line.removeprefix("#").strip())
    return "\n".join(lines)
