"""What a figure is: its data, when it applies, its caption and its sentences."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

from matplotlib.figure import Figure

from analysis.frames import select


@dataclass(frozen=True)
class FigureSpec:
    """A figure with its caption and sentences."""

    name: str  # the file's, without suffix
    title: str
    caption: str
    draw: Callable[..., Figure]  # of `data`
    applies: Callable[[Any], bool] = select.has_own
    # A field of `SuiteResults`.
    data: Literal["frame", "finals", "wider", "layers", "witnesses", "cures"] = "frame"
    sentences: Callable[[Any], list[str]] = lambda data: []  # the results that it shows
