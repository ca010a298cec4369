"""A recipe with settings changed by name: `--set`, and the [vary] table of a suite file."""

import tomllib
from collections.abc import Sequence
from typing import Any

from resnet_bench.errors import UserError, did_you_mean
from resnet_bench.suites.recipe import Recipe
from resnet_bench.suites.validation import validate


def changed_recipe(recipe: Recipe, changes: Sequence[str], where: str) -> tuple[Recipe, str]:
    """`recipe` with each `key=value` of `changes`, and the suffix of the experiment's name.

    A value that `recipe` already has adds no suffix. Raises UserError naming `where` for an
    unknown key or an invalid value.
    """
    values: dict[str, Any] = {}
    for change in changes:
        key, equals, value = change.partition("=")
        if not equals or key not in Recipe.model_fields:
            hint = did_you_mean(key, Recipe.model_fields)
            if key.partition(".")[0] in ("network", "dataset"):
                hint = "; another network or data set is another experiment, in the suite's file"
            raise UserError(f"cannot set {change!r}; write recipe.key=value{hint}")
        try:
            values[key] = tomllib.loads(f"value = {value}")["value"]
        except tomllib.TOMLDecodeError:
            values[key] = value  # a bare word, such as tf32
    changed = validate(Recipe, {**recipe.model_dump(), **values}, where)
    # Validated values, sorted by key: a recipe has only one name.
    differing = sorted(key for key in values if getattr(changed, key) != getattr(recipe, key))
    suffix = "".join(f"+{key}={in_a_name(getattr(changed, key))}" for key in differing)
    return changed, suffix


def in_a_name(value: Any) -> str:
    """A recipe's value in a file name, which TOML can parse."""
    if isinstance(value, tuple):
        return f"[{','.join(map(str, value))}]"
    return str(value).lower() if isinstance(value, bool) else str(value)
