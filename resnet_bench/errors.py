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
    return nearest(name, known) or (f"; known: {', '.join(known)}" if known else "")


def nearest(name: str, known: Iterable[str]) -> str:
    """What to append to "unknown <thing>": the nearest known name, the first of equals, or ""."""

    def likeness(other: str) -> float:
        return difflib.SequenceMatcher(None, other, name).ratio()

    best = max(known, key=likeness, default="")
    return f"; did you mean {best}?" if likeness(best) >= 0.5 else ""
