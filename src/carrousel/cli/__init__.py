"""Command line: ``carrousel list | show | reproduce | study | report | inspect | stream | fit |
predict | score``.

``codes.py`` lists the exit codes. An unsolved trial is a result rather than a failure of a command.
Results go to standard output, everything else to standard error. With ``--json`` standard output
contains JSON alone. Commands import what they need when they run, so that help and lists are fast.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from contextlib import suppress
from typing import Annotated, Any

import typer
from typer.main import get_command

from carrousel.cli.catalogue import list_, show
from carrousel.cli.codes import DONE, FELL_SHORT, WRONG_CALL
from carrousel.cli.estimators.fit import EXAMPLES as FIT_EXAMPLES
from carrousel.cli.estimators.fit import fit
from carrousel.cli.estimators.predict import predict
from carrousel.cli.estimators.score import score
from carrousel.cli.flags.grouped_help import GroupedCommand
from carrousel.cli.inspect.command import EXAMPLES as INSPECT_EXAMPLES
from carrousel.cli.inspect.command import inspect
from carrousel.cli.report import report
from carrousel.cli.reproduce import reproduce
from carrousel.cli.screen import ClosedOutput, say
from carrousel.cli.stream.command import EXAMPLES, stream
from carrousel.cli.study import study
from carrousel.errors import CarrouselError

app = typer.Typer(
    name="carrousel",
    help="Long short-term memory: reproduce the experiments of 1997; learn from endless streams; "
    "classify, tag and forecast series; inspect what nets remember.",
    add_completion=False,
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def main() -> None:
    """Run the command line. An error of this package is shown as one line, with exit code 2."""
    if sys.stdout is None:  # the program was started without it
        sys.stdout = ClosedOutput()
    for output in (sys.stdout, sys.stderr):
        reconfigure = getattr(output, "reconfigure", None)
        if reconfigure:  # a terminal without Unicode shows "?"
            reconfigure(errors="replace")
    try:
        try:
            app(prog_name="carrousel")
        finally:
            sys.stdout.flush()
    except CarrouselError as error:
        say(error.text(argument=_option_of(sys.argv[1:2])))
        sys.exit(WRONG_CALL)
    except BrokenPipeError:  # the reader of a pipe has closed it
        _discard_output()
        sys.exit(DONE)
    except OSError as error:  # a full device
        _discard_output()
        what = error.filename or "standard output cannot be written"
        say(f"{what}: {error.strerror or error}")
        sys.exit(FELL_SHORT)


def _discard_output() -> None:
    """Let the interpreter flush what is left of standard output into nothing."""
    with suppress(OSError):  # closed
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _option_of(command: list[str]) -> Callable[[str], str]:
    """Return a function that spells the arguments of a command as its options.

    >>> spelled = _option_of(["reproduce"])
    >>> spelled("trials"), spelled("as_json"), spelled("training.rate")
    ('--trials', '--json', 'training.rate')
    """
    commands: dict[str, Any] = getattr(get_command(app), "commands", {})
    options: dict[str, str] = {}
    for name in command:
        for parameter in commands[name].params if name in commands else ():
            if parameter.param_type_name == "option":
                options[parameter.name] = max(parameter.opts, key=len)
    return lambda name: options.get(name, name)


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
app.command(cls=GroupedCommand, epilog=INSPECT_EXAMPLES)(inspect)
app.command(cls=GroupedCommand, epilog=EXAMPLES)(stream)
app.command(cls=GroupedCommand, epilog=FIT_EXAMPLES)(fit)
app.command(cls=GroupedCommand)(predict)
app.command(cls=GroupedCommand)(score)
