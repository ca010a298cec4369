"""Shared by the analysis commands: their arguments, and errors as one line with exit code 2."""

import argparse
import os
import signal
import sys
from collections.abc import Callable

import pandas as pd

from analysis import load
from resnet_bench.errors import FROM_OUTSIDE, in_one_line
from resnet_bench.paths import RESULTS_VARIABLE, expanded
from resnet_bench.streams import open_closed_streams, silence_output
from resnet_bench.suites.suite import load_suite


def parser(module: str, description: str | None) -> argparse.ArgumentParser:
    """`python -m <module> SUITE [--results FOLDER]`; add further options to it."""
    arguments = argparse.ArgumentParser(f"python -m {module}", description=description)
    arguments.add_argument("suite", help="a suite, such as digits")
    folder = os.environ.get(RESULTS_VARIABLE) or "results"
    arguments.add_argument("--results", type=expanded, default=folder, help=f"folder ({folder})")
    return arguments


def runs_of(arguments: argparse.Namespace) -> pd.DataFrame:
    """The frame of the suite named; raises UserError if there is no such suite, or no run of it."""
    suite = load_suite(arguments.suite)
    return load.runs(arguments.results / suite.name)


def run(main: Callable[[], int]) -> None:
    """Run a command and exit with its code; with 2 and one line on stderr for a UserError."""
    signal.signal(signal.SIGINT, signal.default_int_handler)  # the imports are over
    open_closed_streams()
    try:
        code = main()
        sys.stdout.flush()  # a full disk is an error here, not at the end of Python
    except KeyboardInterrupt:
        code = 130
    except BrokenPipeError:  # the reader of the pipe has closed it, as `head` does
        silence_output()
        code = 141
    except FROM_OUTSIDE as error:
        print(f"error: {in_one_line(error)}", file=sys.stderr)
        if isinstance(error, OSError) and error.filename is None:
            silence_output(sys.stdout)
        code = 2
    sys.exit(code)
