"""Exceptions for mistakes of the user, not of the program."""

import difflib
from collections.abc import Iterable


class UserError(Exception):
    """Input that cannot be used: shown as one line, never as a traceback; exit code 2."""


class RunError(UserError):
    """A mistake in one run of a group: the others can go on from their checkpoints."""

    def __init__(self, message: str, run: object) -> None:
        super().__init__(message)
        self.run = run


class CaptureError(UserError):
    """A step could not be captured as a CUDA graph; this process cannot use the GPU any more."""


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """What to append to "unknown <thing>": the nearest known name, else all of them."""
    known = list(known)
    near = difflib.get_close_matches(name, known, n=1, cutoff=0.5)
    if near:
        return f"; did you mean {near[0]}?"
    return f"; known: {', '.join(known)}" if known else ""
