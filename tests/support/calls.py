"""A command of the command line, called in this process."""

from collections.abc import Callable


class Answer:
    """What a command printed, and its exit code."""

    def __init__(self, code: int, output: str, errors: str) -> None:
        self.code, self.output, self.errors = code, output, errors


Call = Callable[..., Answer]
