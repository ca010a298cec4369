"""A cure's faults: each is one line that names the cure and the hook, never a traceback."""

import random
import textwrap
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import torch

from resnet_bench.errors import CaptureError, RunError, UserError
from resnet_bench.suites.experiment import Experiment, Run

# What would end a process is a fault like any other: a cure's `sys.exit()` must not end a sweep.
FAULTS = (Exception, SystemExit, KeyboardInterrupt)


def named(experiment: Experiment) -> str:
    """How messages begin that are about the cures of `experiment`."""
    return f"cure {' and '.join(cure.name for cure in experiment.cures)}:"


@contextmanager
def blamed(who: str, what: str) -> Iterator[None]:
    """Turn whatever a cure's code raises into a UserError of one line, with its place."""
    try:
        yield
    except (UserError, torch.OutOfMemoryError):
        raise
    except FAULTS as error:
        reason = textwrap.shorten(f"{type(error).__name__}: {error}", 300, placeholder=" ...")
        places = [
            f" ({Path(frame.f_code.co_filename).name}, line {line})"
            for frame, line in traceback.walk_tb(error.__traceback__)
            if frame.f_globals["__name__"].startswith("cure_")
        ]
        raise UserError(f"{who} {what}: {reason}{''.join(places[-1:])}") from error


@contextmanager
def own_random(who: str, hook: str) -> Iterator[None]:
    """Raises UserError if the hook fails, or draws from a global random stream or seeds it."""
    before = _random_states()
    with blamed(who, f"{hook} fails"):
        yield
    if _random_states() != before:
        raise UserError(f"{who} {hook} draws from a global random stream; use `generator`")


def _random_states() -> list[Any]:
    numpy_state = str(np.random.get_state(legacy=False))
    return [torch.get_rng_state().numpy().tobytes(), numpy_state, random.getstate()]


@contextmanager
def in_training(run: Run, what: str) -> Iterator[None]:
    """Raises RunError if a run's cures fail within the context: it ends this run alone.

    A CaptureError stays one: after it this process can train none of the runs.
    """
    if not run.experiment.cures:
        yield
        return
    try:
        with blamed(f"{run.name}: {named(run.experiment)}", what):
            yield
    except CaptureError:
        raise
    except UserError as error:
        raise RunError(str(error), run) from error
