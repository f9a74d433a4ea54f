"""`carrousel reproduce`."""

from __future__ import annotations

import shlex
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

import typer

from carrousel.cli.codes import FELL_SHORT
from carrousel.cli.options import (
    BACKEND,
    SEED,
    Address,
    Backend,
    Jobs,
    Json,
    KeepWeights,
    Out,
    Recipe,
    Rivals,
    RunOptions,
    Seed,
    Trials,
)
from carrousel.cli.running import open_store, run_all
from carrousel.cli.screen import put_json, put_report, say
from carrousel.cli.selection import PAPER, select
from carrousel.errors import SettingError
from carrousel.words import count

if TYPE_CHECKING:
    from carrousel.contracts import Experiment
    from carrousel.experiments.store.store import Store


@dataclass(frozen=True)
class ReproduceRequest:
    """What one call of ``reproduce`` runs.

    Args:
        names: names of rows and groups; empty for the tour, unless ``everything`` or ``rivals``.
        run: how trials are run and stored.
        everything: whether all rows of the recipe are run.
        rivals: whether rival rows are added.
        recipe: the recipe that is applied to the rows.
        as_json: whether results are written as JSON.
    """

    names: tuple[str, ...]
    run: RunOptions
    everything: bool = False
    rivals: bool = False
    recipe: str = PAPER
    as_json: bool = False

    @property
    def command(self) -> str:
        """The command that makes the same request."""
        words = ["carrousel", "reproduce", *self.names]
        words += ["--all"] if self.everything else []
        words += ["--rivals"] if self.rivals else []
        words += ["--recipe", self.recipe] if self.recipe != PAPER else []
        return shlex.join([*words, *self.run.words, *(["--json"] if self.as_json else [])])

    @property
    def is_tour(self) -> bool:
        """Whether the request names no rows."""
        return not (self.names or self.everything or self.rivals)

    def plan(self) -> list[tuple[Experiment, int]]:
        """Return experiments and their numbers of trials.

        Raises:
            SettingError: ``everything`` is combined with names or rivals.
            UnknownNameError: a row, group or recipe is unknown.
        """
        from carrousel.experiments import TOUR
        from carrousel.experiments.catalogue import EXPERIMENTS
        from carrousel.experiments.recipes.catalogue import by_recipe, rows_of

        if self.everything and (self.names or self.rivals):
            other = "names" if self.names else "--rivals"
            raise SettingError(f"{other} and --all contradict each other", fix="give one of them")
        if self.is_tour:
            rows = [(by_recipe(EXPERIMENTS[name], self.recipe), number) for name, number in TOUR]
        elif self.everything:
            rows = [(row, None) for row in rows_of(self.recipe)]
        else:
            selected = select(self.names, rivals=self.rivals, recipe=self.recipe)
            rows = [(row, None) for row in selected]
        return [(row, self.run.trials or number or row.published.trials) for row, number in rows]


def reproduce(
    names: Annotated[
        list[str] | None,
        typer.Argument(
            help="Experiments or groups: 1, 2a, 2b, 2c, 3a, ..., guess. Default: a tour of "
            "headline rows.",
            metavar="NAME",
        ),
    ] = None,
    everything: Annotated[bool, typer.Option("--all", help="Run all experiments.")] = False,
    rivals: Rivals = False,
    trials: Trials = None,
    recipe: Recipe = PAPER,
    seed: Seed = SEED,
    jobs: Jobs = None,
    backend: Backend = BACKEND,
    address: Address = None,
    out: Out = None,
    keep_weights: KeepWeights = False,
    as_json: Json = False,
) -> None:
    """Run experiments and compare the results with the paper.

    A stopped run continues when the same command is given again.
    """
    run = RunOptions(trials, seed, jobs, backend, address, out, keep_weights)
    request = ReproduceRequest(tuple(names or ()), run, everything, rivals, recipe, as_json)
    plan = request.plan()
    from carrousel.experiments.run.clusters import cluster

    with cluster(backend, address, jobs=run.workers), open_store(out) as store:
        _announce(request, plan, store)
        found = run_all(run, plan, store)
    if sys.stderr.isatty():
        say("")
    if as_json:
        put_json([entry.as_json() for entry in found.entries])
    elif found.entries:
        from carrousel.experiments.report.collect import Report

        put_report(Report(tuple(found.entries), ()))
    if found.efficiency:
        say(found.efficiency)
    if found.stopped:
        say(found.stopped)
        if store is not None:
            say("Ended trials are stored. Continue with:", command=request.command)
        raise typer.Exit(FELL_SHORT)
    if store is not None:
        where = shlex.quote(str(run.folder))
        say("Show the learning curves:", command=f"carrousel report {where} --html report.html")


def _announce(
    request: ReproduceRequest, plan: list[tuple[Experiment, int]], store: Store | None
) -> None:
    trials = sum(number for _, number in plan)
    rows = f"{count(len(plan), 'experiment')}, {count(trials, 'trial')}"
    if request.is_tour:
        rows = f"A tour of {rows}: less than two minutes on two cores"
    elif request.everything:
        rows = f"All experiments: {rows}; this takes hours"
    stored = ""
    if store is not None:
        stored = f" Stored in {request.run.folder}. Ctrl-C stops; the same command continues."
    say(f"{rows}. Seed {request.run.seed}.{stored}")
