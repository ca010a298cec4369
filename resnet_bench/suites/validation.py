"""Validation of a suite file's typed, frozen data, with error messages of one line."""

import re
from typing import Any, TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError
from pydantic_core import to_jsonable_python

from resnet_bench.errors import UserError, nearest


class Specification(BaseModel):
    """A frozen, typed part of a suite file; an unknown key or a wrong type is an error."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, allow_inf_nan=False)


S = TypeVar("S", bound=Specification)


def validate(schema: type[S], contents: dict[str, Any], where: str) -> S:
    """`contents` as a `schema`; raises UserError naming `where` and each wrong key and value."""
    try:
        return schema.model_validate(_as_tuples(contents))
    except ValidationError as error:
        raise UserError(f"{where}: {one_line(error)}") from error


def with_later_fields(schema: type[S], contents: dict[str, Any]) -> dict[str, Any]:
    """`contents` from an earlier version, with the defaults of fields added since then.

    A new field's default must be what earlier versions did, so that their results stay valid.
    """
    later = {
        name: to_jsonable_python(field.get_default())
        for name, field in schema.model_fields.items()
        if not field.is_required()
    }
    return {**later, **contents}


def _as_tuples(value: Any) -> Any:
    """Lists, which TOML has, as tuples, which frozen models have."""
    if isinstance(value, dict):
        return {key: _as_tuples(item) for key, item in value.items()}
    return tuple(_as_tuples(item) for item in value) if isinstance(value, list) else value


def _of_files(message: str) -> str:
    """pydantic's message in terms of the file: no class names, and "list" for "tuple"."""
    message = re.sub(r" or instance of \w+", "", message)
    return message.replace("Tuple", "List").replace("tuple", "list")


def _all_keys(schema: type[BaseModel]) -> list[str]:
    """Of all parts of a suite's file."""
    below = [key for part in schema.__subclasses__() for key in _all_keys(part)]
    return [*schema.model_fields, *below]


def one_line(error: ValidationError) -> str:
    """All mistakes, each with its key and value, in one line."""
    parts = []
    mistakes = error.errors(include_url=False)
    for mistake in mistakes:
        within = [other["loc"][: len(mistake["loc"])] for other in mistakes if other != mistake]
        if mistake["type"] == "too_short" and mistake["loc"] in within:
            continue  # because its items are wrong, which another mistake reports
        key = ".".join(
            str(part) for part in mistake["loc"] if part not in ("constrained-int", "int")
        )
        message = _of_files(mistake["msg"].removeprefix("Value error, "))
        if mistake["type"] == "extra_forbidden":
            message = "unknown key" + nearest(str(mistake["loc"][-1]), _all_keys(Specification))
        elif mistake["type"] != "value_error":
            message += f" (got {mistake['input']!r})" if mistake["type"] != "missing" else ""
        parts.append(f"{key}: {message}" if key else message)
    return "; ".join(dict.fromkeys(parts))
