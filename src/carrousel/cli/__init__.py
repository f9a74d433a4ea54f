"""The command line: ``carrousel list | show | reproduce | study | report | stream``.

Exit codes: 0 done; 1 ran, but not all trials asked for have ended (interrupted, disk full, a worker
killed); 2 wrong call. A trial that ended without solving its task is a result, not a shortfall.
Results go to standard output, everything else to standard error; with ``--json`` standard output is
JSON alone. What a command needs is imported when it runs, so that help and lists come at once.
"""

from __future__ import annotations

import os
import sys
from typing import Annotated

import typer

from carrousel.cli.catalogue import list_, show
from carrousel.cli.codes import DONE, WRONG_CALL
from carrousel.cli.report import report
from carrousel.cli.reproduce import reproduce
from carrousel.cli.screen import say
from carrousel.cli.stream.command import EXAMPLES, stream
from carrousel.cli.stream.grouped_help import GroupedCommand
from carrousel.cli.study import study
from carrousel.errors import CarrouselError

app = typer.Typer(
    name="carrousel",
    help="Long short-term memory: the experiments of 1997, run again; endless streams, learned.",
    add_completion=False,
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def main() -> None:
    """Run the command line; errors of ours become one line and exit code 2."""
    for output in (sys.stdout, sys.stderr):
        reconfigure = getattr(output, "reconfigure", None)
        if reconfigure:  # a terminal without Unicode shows "?" instead of stopping the program
            reconfigure(errors="replace")
    try:
        app(prog_name="carrousel")
    except CarrouselError as error:
        say(str(error))
        sys.exit(WRONG_CALL)
    except BrokenPipeError:  # the reader of a pipe has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(DONE)


def _print_version(wanted: bool) -> None:
    if wanted:
        from importlib.metadata import version

        print(f"carrousel {version('carrousel')}")
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[
        bool,
        typer.Option("--version", help="Show the version.", callback=_print_version, is_eager=True),
    ] = False,
) -> None:
    pass


app.command("list")(list_)
app.command()(show)
app.command()(reproduce)
app.command()(study)
app.command()(report)
app.command(cls=GroupedCommand, epilog=EXAMPLES)(stream)
