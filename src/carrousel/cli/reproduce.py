"""`carrousel reproduce`."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated

import typer

from carrousel.checks import check_int
from carrousel.cli.catalogue import Rivals
from carrousel.cli.codes import FELL_SHORT
from carrousel.cli.options import Address, Backend, Jobs, Json, Out, Recipe, Seed
from carrousel.cli.order import BACKEND, PAPER, SEED, Order, workers
from carrousel.cli.running import DEFAULT_FOLDER, Work, open_store, run_all
from carrousel.cli.screen import put_json, put_report, say

if TYPE_CHECKING:
    from carrousel.contracts import Experiment
    from carrousel.experiments.store.store import Store


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
