"""The command line: ``carrousel list | show | reproduce | study | report | stream``.

Exit codes: 0 done; 1 ran, but not all trials asked for have ended (interrupted, disk full, a worker
killed); 2 wrong call. A trial that ended without solving its task is a result, not a shortfall.
Results go to standard output, everything else to standard error; with ``--json`` standard output is
JSON alone. What a command needs is imported when it runs, so that help and lists come at once.
"""

from __future__ import annotations

import os
import shlex
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from carrousel.checks import check_choice, check_int
from carrousel.cli.options import Address, Backend, Jobs, Json, Out, Recipe, Seed
from carrousel.cli.order import BACKEND, PAPER, SEED, Order, chosen, workers
from carrousel.cli.running import DEFAULT_FOLDER, Work, open_store, run_all
from carrousel.cli.screen import put, put_json, put_report, say
from carrousel.cli.stream.command import EXAMPLES, stream
from carrousel.cli.stream.help import Grouped
from carrousel.cli.study import study
from carrousel.errors import CarrouselError

if TYPE_CHECKING:
    from carrousel.contracts import Experiment
    from carrousel.experiments.store.store import Store

DONE, FELL_SHORT, WRONG_CALL = 0, 1, 2

app = typer.Typer(
    name="carrousel",
    help="Long short-term memory: the experiments of 1997, run again; endless streams, learned.",
    add_completion=False,
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
Rivals = Annotated[
    bool,
    typer.Option("--rivals", help="The rival rows too, of the groups named; without names, all."),
]


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


@app.command("list")
def list_(
    names: Annotated[
        list[str] | None,
        typer.Argument(help="Experiments or groups; none for all.", metavar="NAME"),
    ] = None,
    rivals: Rivals = False,
    learner: Annotated[
        str | None, typer.Option(help="Those with this learner only.", metavar="NAME")
    ] = None,
    as_json: Json = False,
) -> None:
    """List experiments with the published figures."""
    from carrousel.experiments import EXPERIMENTS
    from carrousel.experiments.report.show import list_as_json, table_of

    rows = chosen(names or (), rivals=rivals) if names or rivals else list(EXPERIMENTS.values())
    if learner is not None:
        known = dict.fromkeys(row.learner for row in EXPERIMENTS.values())
        check_choice("learner", learner, known)
        rows = [row for row in rows if row.learner == learner]
    if as_json:
        put_json([list_as_json(each) for each in rows])
    else:
        put(table_of(rows))


@app.command()
def show(
    name: Annotated[
        str, typer.Argument(help="Name of an experiment, e.g. 4-1, or of a group.", metavar="NAME")
    ],
    rivals: Rivals = False,
    recipe: Recipe = PAPER,
    as_json: Json = False,
) -> None:
    """Show one experiment in full, or all of a group (as JSON: a list)."""
    from carrousel.experiments import EXPERIMENTS
    from carrousel.experiments.report import show as report_show

    rows = chosen([name], rivals=rivals, recipe=recipe)
    if as_json:
        shown = [report_show.show_as_json(row) for row in rows]
        put_json(shown[0] if name in EXPERIMENTS and not rivals else shown)
        return
    for place, row in enumerate(rows):
        if place:
            put("")
        put(report_show.show(row))


@app.command()
def reproduce(
    names: Annotated[
        list[str] | None,
        typer.Argument(
            help="Experiments, or groups of them: 1, 2a, 2b, 2c, 3a, ..., guess; none for a tour "
            "of headline rows.",
            metavar="NAME",
        ),
    ] = None,
    everything: Annotated[bool, typer.Option("--all", help="All experiments.")] = False,
    rivals: Rivals = False,
    trials: Annotated[
        int | None,
        typer.Option(help="Trials of each; default: as many as the paper.", metavar="N"),
    ] = None,
    recipe: Recipe = PAPER,
    seed: Seed = SEED,
    jobs: Jobs = None,
    backend: Backend = BACKEND,
    address: Address = None,
    out: Out = None,
    as_json: Json = False,
) -> None:
    """Run experiments; print ours beside the paper's.

    Stopped at any moment, the same command goes on where it was.
    """
    rows = tuple(names or ())
    given = (trials, seed, jobs, backend, out, as_json, address, recipe)
    order = Order(rows, everything, rivals, *given)
    plan = order.plan()
    check_int("--seed", seed, minimum=0)
    jobs = workers(jobs, backend)
    from carrousel.experiments.run.clusters import cluster

    with cluster(backend, address, jobs=jobs), open_store(out) as store:
        _announce(order, plan, store)
        entries, stopped = run_all(Work(seed, jobs, backend, address), plan, store)
    if sys.stderr.isatty():
        say("")
    if as_json:
        put_json([entry.summary.as_json() for entry in entries])
    elif entries:
        from carrousel.experiments.report.collect import Report

        put_report(Report(tuple(entries), ()))
    if stopped:
        say(stopped)
        if store is not None:
            say("Trials that ended are kept. Go on with:", command=order.command)
        raise typer.Exit(FELL_SHORT)
    if store is not None:
        where = shlex.quote(str(out or DEFAULT_FOLDER))
        say("See the learning curves:", command=f"carrousel report {where} --html report.html")


app.command()(study)


@app.command()
def report(
    folder: Annotated[Path, typer.Argument(help="Folder of a store.", metavar="DIR")],
    html: Annotated[
        Path | None, typer.Option(help="Write a page with learning curves.", metavar="FILE")
    ] = None,
    markdown: Annotated[
        Path | None, typer.Option(help="Write the tables as Markdown.", metavar="FILE")
    ] = None,
) -> None:
    """Report what reproduce kept in DIR."""
    from carrousel.experiments.recipes.catalogue import EVERYTHING
    from carrousel.experiments.report import collect as reports
    from carrousel.experiments.report.file import write_text
    from carrousel.experiments.store.store import Store

    with Store(folder, read_only=True) as store:
        found = reports.collect(store, EVERYTHING)
    if html is not None:
        from carrousel.experiments.report.html import html as page

        write_text(html, page(found))
    if markdown is not None:
        write_text(markdown, reports.markdown(found))
    put_report(found)
    for path in (html, markdown):
        if path is not None:
            say(f"written: {path}")


app.command(cls=Grouped, epilog=EXAMPLES)(stream)


def _announce(order: Order, plan: Sequence[tuple[Experiment, int]], store: Store | None) -> None:
    trials = sum(number for _, number in plan)
    rows = f"{len(plan)} experiment{'s' if len(plan) > 1 else ''}, {trials} trials"
    if order.is_tour:
        rows = f"A tour of {rows}: within two minutes on two cores"
    elif order.everything:
        rows = f"Everything: {rows}; this takes hours"
    where = "" if store is None else f" Kept in {order.out or DEFAULT_FOLDER}."
    stops = " Ctrl-C stops; the same command goes on." if store is not None else ""
    say(f"{rows}. Seed {order.seed}.{where}{stops}")
