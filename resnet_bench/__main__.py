"""The command line. It carries facts of this machine only; what decides a result is in the suite.

torch, wandb and pandas are imported inside the commands that need them, so that --help and list
answer at once.
"""

import os
import signal
import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from resnet_bench.commands import (
    cure,
    dashboards,
    data,
    export,
    gpu_check,
    listings,
    shapes,
    train,
    witness,
)
from resnet_bench.errors import FROM_OUTSIDE, in_one_line
from resnet_bench.streams import open_closed_streams, silence_output


class Application(typer.core.TyperGroup):
    """The commands, which end quietly where the reader of a pipe has left: `... list | head`."""

    def invoke(self, ctx: Any) -> object:
        try:
            try:
                return super().invoke(ctx)
            finally:
                sys.stdout.flush()  # a full disk is an error here, and not at the end of Python
        except BrokenPipeError:  # typer would make it exit code 1, that of a crash
            silence_output()
            raise typer.Exit(0) from None


app = typer.Typer(
    cls=Application,
    help="Matched plain and residual networks, trained and compared (He et al. 2015).",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,  # --help without rich, whose import takes a third of the time
    add_completion=True,
)


@app.callback()
def every_command(
    suites: Annotated[
        Path | None,
        typer.Option(help="a folder of your own suites and cures", envvar="RESNET_BENCH_SUITES"),
    ] = None,
) -> None:
    """What all commands have in common."""
    if suites is not None:
        os.environ["RESNET_BENCH_SUITES"] = str(suites)  # for the processes of a sweep, too


app.command()(train.run)
app.command()(train.sweep)
app.command("default-suite")(train.default_suite)
app.command("list")(listings.list_experiments)
app.command()(listings.status)
app.command()(shapes.shapes)
app.command()(witness.witness)
app.command()(cure.cure)
app.command()(data.data)
app.command()(export.export)
app.command()(export.seal)
app.command()(export.merge)
app.command()(gpu_check.gpu_check)
app.command()(dashboards.dashboard)
app.command()(dashboards.sync)


def main() -> None:
    """Run the command line; the user's mistakes are one line and exit code 2."""
    signal.signal(signal.SIGINT, signal.default_int_handler)  # the imports are over
    open_closed_streams()
    try:
        app()
    except FROM_OUTSIDE as error:
        reason = in_one_line(error)
        if isinstance(error, OSError) and not error.filename:
            silence_output(sys.stdout)  # what is left of it cannot be written either
    except ModuleNotFoundError as error:
        # Some packages are used by few commands: a machine that only trains need not have them.
        reason = f"this needs the Python module {error.name}, which is not installed"
    else:
        return
    typer.echo(f"error: {reason}", err=True)
    sys.exit(2)


if __name__ == "__main__":
    main()
