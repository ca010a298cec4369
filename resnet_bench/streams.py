"""The standard streams: closed by who started this process, left by their reader, or narrow."""

import os
import shutil
import sys
import textwrap
from typing import TextIO


def open_closed_streams() -> None:
    """Let closed standard streams (`2>&-`) lead nowhere, here and in child processes.

    Else the next file that is opened takes the place of one, and messages go into it.
    """
    while (nowhere := os.open(os.devnull, os.O_RDWR)) <= 2:  # takes the lowest that is free
        os.set_inheritable(nowhere, True)
    os.close(nowhere)
    for name in ("stdin", "stdout", "stderr"):
        if getattr(sys, name) is None:
            setattr(sys, name, open(os.devnull, "r" if name == "stdin" else "w"))  # noqa: PTH123, SIM115


def silence_output(*streams: TextIO) -> None:
    """Discard what else is written, to these streams or to both: nobody reads it, or no room."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    for stream in streams or (sys.stdout, sys.stderr):
        os.dup2(nowhere, stream.fileno())


def wrapped(sentence: str) -> str:
    """A sentence in lines of the terminal's width, and of 100 characters at most."""
    width = min(100, shutil.get_terminal_size((100, 24)).columns)
    return textwrap.fill(sentence, width, break_on_hyphens=False, break_long_words=False)
