"""How typed, frozen data is read from a file, and what is said of a mistake in it."""

import re
from typing import Any, TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError
from pydantic_core import to_jsonable_python

from resnet_bench.errors import UserError


class Specification(BaseModel):
    """A frozen, typed part of a suite file; an unknown key or a wrong type is an error."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, allow_inf_nan=False)


S = TypeVar("S", bound=Specification)


def validate(schema: type[S], contents: dict[str, Any], where: str) -> S:
    """`contents` as a `schema`; raises UserError naming `where`, every wrong key and its value."""
    try:
        return schema.model_validate(_as_tuples(contents))
    except ValidationError as error:
        raise UserError(f"{where}: {one_line(error)}") from error


def with_later_fields(schema: type[S], contents: dict[str, Any]) -> dict[str, Any]:
    """`contents`, as an earlier version wrote it, with the fields that came since.

    A field that is added gets as its default what was done before it was there, so that the
    results of earlier versions stay what they are.
    """
    later = {
        name: to_jsonable_python(field.get_default())
        for name, field in schema.model_fields.items()
        if not field.is_required()
    }
    return {**later, **contents}


def _as_tuples(value: Any) -> Any:
    """TOML has lists, frozen models have tuples."""
    if isinstance(value, dict):
        return {key: _as_tuples(item) for key, item in value.items()}
    return tuple(_as_tuples(item) for item in value) if isinstance(value, list) else value


def _of_files(message: str) -> str:
    """pydantic's words without our classes, and with a list where a file can have no tuple."""
    message = re.sub(r" or instance of \w+", "", message)
    return message.replace("Tuple", "List").replace("tuple", "list")


def one_line(error: ValidationError) -> str:
    parts = []
    mistakes = error.errors(include_url=False)
    for mistake in mistakes:
        within = [other["loc"][: len(mistake["loc"])] for other in mistakes if other != mistake]
        if mistake["type"] == "too_short" and mistake["loc"] in within:
            continue  # only since what is in it is wrong
        key = ".".join(
            str(part) for part in mistake["loc"] if part not in ("constrained-int", "int")
        )
        message = _of_files(mistake["msg"].removeprefix("Value error, "))
        if mistake["type"] == "extra_forbidden":
            message = "unknown key"
        elif mistake["type"] != "value_error":
            message += f" (got {mistake['input']!r})" if mistake["type"] != "missing" else ""
        parts.append(f"{key}: {message}" if key else message)
    return "; ".join(dict.fromkeys(parts))
