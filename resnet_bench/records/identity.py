"""What makes a run the one it is: the `identity` in its run.json and in its checkpoint."""

import reprlib
from typing import Any

from resnet_bench.suites.network import NetworkSpec
from resnet_bench.suites.recipe import Recipe
from resnet_bench.suites.validation import with_later_fields


def of_today(identity: dict[str, Any]) -> dict[str, Any]:
    """An identity that an earlier version wrote: newer fields have their defaults."""
    identity = {"cures": {}} | identity
    for part, schema in (("network", NetworkSpec), ("recipe", Recipe)):
        if isinstance(identity.get(part), dict):
            identity[part] = with_later_fields(schema, identity[part])
    return identity


def differences(there: dict[str, Any], wanted: dict[str, Any]) -> str:
    """How an identity differs in the keys of `wanted`: "seed is 1 there, 0 now"; "" if not."""
    one = _flat({key: there[key] for key in wanted if key in there})
    other = _flat(wanted)
    return "; ".join(
        f"{key} is {_told(one.get(key))} there, {_told(other.get(key))} now"
        for key in sorted(one.keys() | other.keys())
        if one.get(key) != other.get(key)
    )


def _flat(nested: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for key, value in nested.items():
        if isinstance(value, dict):
            flat |= _flat(value, f"{prefix}{key}.")
        else:
            flat[prefix + key] = value
    return flat


def _told(value: Any) -> str:
    """A value in a message; a digest in its first and last letters."""
    return reprlib.repr(value) if isinstance(value, str) else repr(value)
