"""Exceptions for mistakes of the user, not of the program."""

import difflib
from collections.abc import Iterable


class UserError(Exception):
    """Input that cannot be used: shown as one line, never as a traceback; exit code 2."""


# What a user or a machine did, and no mistake of the program: a file, a disk, a limit.
FROM_OUTSIDE = (UserError, OSError, RecursionError)


def in_one_line(error: BaseException) -> str:
    """One of `FROM_OUTSIDE` for the terminal."""
    reason = "a file is nested too deeply" if isinstance(error, RecursionError) else str(error)
    if isinstance(error, OSError) and error.strerror:
        reason = f"{error.filename}: {error.strerror}" if error.filename else error.strerror
    return printable(reason)


def printable(text: str) -> str:
    """`text` in one line: what a terminal would obey, or could not encode, as its escape code."""
    return "".join(c if c.isprintable() else ascii(c)[1:-1] for c in text)


class RunError(UserError):
    """A mistake in one run of a group: the others can go on from their checkpoints."""

    def __init__(self, message: str, run: object) -> None:
        super().__init__(message)
        self.run = run


class CaptureError(UserError):
    """Work could not be captured as a CUDA graph; this process cannot use the GPU any more."""


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
