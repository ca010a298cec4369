"""A cure's file as a module: imported, its hooks and options checked."""

import difflib
import hashlib
import inspect
import sys
import types
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

from pydantic import ValidationError

from resnet_bench.cures.blame import blamed, own_random
from resnet_bench.cures.hooks import (
    HOOKS,
    CureOptions,
    Initialize,
    MakeBlock,
    MakeOptimizer,
    OnGradients,
)
from resnet_bench.errors import UserError
from resnet_bench.suites.cure_file import CureSpec
from resnet_bench.suites.validation import one_line


@dataclass(frozen=True)
class Cure:
    """A loaded cure: its options, and the hooks that its file defines."""

    name: str
    options: CureOptions
    initialize: Initialize | None = None
    Block: MakeBlock | None = None
    optimizer: MakeOptimizer | None = None
    on_gradients: OnGradients | None = None


def load_cures(specs: Sequence[CureSpec]) -> tuple[Cure, ...]:
    """The cures of one experiment; raises UserError for whatever is wrong with their files."""
    cures = tuple(_load(spec) for spec in specs)
    for hook in ("initialize", "Block", "optimizer"):
        owners = [cure.name for cure in cures if getattr(cure, hook)]
        if len(owners) > 1:
            raise UserError(f"cures {' and '.join(owners)} cannot be combined: both define {hook}")
    return cures


@cache
def _load(spec: CureSpec) -> Cure:
    source = spec.file.read_bytes() if spec.file.exists() else b""
    if hashlib.sha256(source).hexdigest() != spec.sha256:
        raise UserError(f"{spec.file} has changed since the suite was read; run again")
    module = types.ModuleType(f"cure_{spec.file.stem}")
    module.__file__ = str(spec.file)
    sys.modules[module.__name__] = module  # where pydantic and dataclasses look annotations up
    where = str(spec.file)
    with own_random(where, "its import"), blamed(where, "cannot be imported"):
        exec(compile(source, spec.file, "exec"), module.__dict__)
    # What is imported from this package, such as Block, is the control's.
    defined = {
        name: value
        for name, value in vars(module).items()
        if not str(getattr(value, "__module__", "")).startswith("resnet_bench.")
    }
    hooks = {name: defined[name] for name in HOOKS if name in defined}
    _check_names(spec, defined, hooks)
    for name, hook in hooks.items():
        _check_signature(spec, name, hook)
    return Cure(spec.name, _options(spec, defined), **hooks)


def _check_names(spec: CureSpec, defined: dict[str, Any], hooks: dict[str, Any]) -> None:
    module = f"cure_{spec.file.stem}"
    own = {name for name, value in defined.items() if getattr(value, "__module__", "") == module}
    for name in own - HOOKS.keys() - {"Options"}:
        near = difflib.get_close_matches(name, [*HOOKS, "Options"], n=1, cutoff=0.7)
        if near and not name.startswith("_"):
            raise UserError(f"{spec.file}: {name} is no hook; did you mean {near[0]}?")
    if not hooks:
        raise UserError(f"{spec.file}: defines none of the hooks {', '.join(HOOKS)}")


def _check_signature(spec: CureSpec, name: str, hook: Any) -> None:
    _, *wanted = inspect.signature(HOOKS[name].__call__).parameters
    with blamed(f"{spec.file}:", f"{name} is no function"):
        signature = inspect.signature(hook)
    try:
        signature.bind(*wanted)
    except TypeError:
        message = f"{name} has to take ({', '.join(wanted)}), not {signature}"
        raise UserError(f"{spec.file}: {message}") from None


def _options(spec: CureSpec, defined: dict[str, Any]) -> CureOptions:
    schema = defined.get("Options", CureOptions)
    if not (isinstance(schema, type) and issubclass(schema, CureOptions)):
        raise UserError(f"{spec.file}: Options has to derive from resnet_bench's CureOptions")
    with blamed(f"cure {spec.name}:", "Options fails"):
        try:
            return schema.model_validate_json(spec.options)
        except ValidationError as error:
            raise UserError(f"cure {spec.name}: options: {one_line(error)}") from error
