"""``carrousel study``: one row under several settings, side by side."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass, replace
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from carrousel.checks import check_int
from carrousel.cli.options import Address, Backend, Jobs, Json, Out, Recipe, Seed
from carrousel.cli.order import BACKEND, PAPER, SEED, chosen, repeated, workers
from carrousel.cli.running import DEFAULT_FOLDER, Work, open_store, run_all
from carrousel.cli.screen import console_of, put_json, say
from carrousel.errors import CarrouselError, MissingExtraError, SettingError

if TYPE_CHECKING:
    from carrousel.contracts import Experiment
    from carrousel.experiments.store.store import Store
    from carrousel.experiments.study.study import Study

FELL_SHORT = 1


@dataclass(frozen=True)
class Grid:
    """What a call of ``study`` asks for, as given."""

    name: str
    vary: tuple[str, ...]
    recipe: str
    trials: int | None
    out: Path | None
    plot: Path | None
    markdown: Path | None
    as_json: bool

    def row(self) -> Experiment:
        """The row whose settings are varied."""
        rows = chosen([self.name], recipe=self.recipe)
        if len(rows) != 1:
            names = ", ".join(row.name for row in rows)
            raise SettingError(f"{self.name!r} is a group of rows; study one of {names}")
        return rows[0]

    def points(self, row: Experiment) -> list[Experiment]:
        """The row's variations, one for each combination of values; none if none is asked for."""
        from carrousel.experiments.recipes.vary import full_path, grid, levels_from

        levels: dict[str, list[object]] = {}
        for each in self.vary:
            field, values = levels_from(each)
            path = full_path(row, field)
            if path in levels:
                raise SettingError(f"--vary {path} was given twice; give all its values at once")
            levels[path] = values
        points = grid(row, levels) if levels else []
        for point in points:
            _check(point)
        return points

    def command(self, work: Work) -> str:
        """The command that asks for the same."""
        words = [*self._start, *(word for each in self.vary for word in ("--vary", each))]
        words += repeated(self.trials, work.seed, work.jobs, work.backend, work.address, self.out)
        words += ["--plot", str(self.plot)] if self.plot is not None else []
        words += ["--markdown", str(self.markdown)] if self.markdown is not None else []
        return shlex.join([*words, *(["--json"] if self.as_json else [])])

    @property
    def drawing(self) -> str:
        """The command that draws what the folder holds."""
        where = ["--out", str(self.out)] if self.out is not None else []
        return shlex.join([*self._start, *where, "--plot", "curves.svg"])

    @property
    def listing(self) -> str:
        """The command that lists what can be varied."""
        return shlex.join([*self._start, "--settings"])

    @property
    def _start(self) -> list[str]:
        recipe = ["--recipe", self.recipe] if self.recipe != PAPER else []
        return ["carrousel", "study", self.name, *recipe]


def study(
    name: Annotated[str, typer.Argument(help="Name of an experiment, e.g. 4-1.", metavar="NAME")],
    vary: Annotated[
        list[str] | None,
        typer.Option(
            help="A setting and the values to try, e.g. training.rate=0.1,0.5 or rate=0.1,0.5; "
            "several options make a grid. Without any, what the folder holds is shown.",
            metavar="FIELD=A,B,C",
        ),
    ] = None,
    settings: Annotated[
        bool, typer.Option("--settings", help="List the settings that can be varied, and stop.")
    ] = False,
    recipe: Recipe = PAPER,
    trials: Annotated[
        int | None,
        typer.Option(help="Trials of each point; default: as many as the paper.", metavar="N"),
    ] = None,
    seed: Seed = SEED,
    jobs: Jobs = None,
    backend: Backend = BACKEND,
    address: Address = None,
    out: Out = None,
    plot: Annotated[
        Path | None, typer.Option(help="Write survival curves as SVG.", metavar="FILE")
    ] = None,
    markdown: Annotated[
        Path | None, typer.Option(help="Write the tables as Markdown.", metavar="FILE")
    ] = None,
    as_json: Json = False,
) -> None:
    """Run one row under several settings and say what each does to it.

    Trials that were given up count as censored. Stopped at any moment, the same command goes on.
    """
    grid = Grid(name, tuple(vary or ()), recipe, trials, out, plot, markdown, as_json)
    row = grid.row()
    if settings:
        _show_settings(row, as_json)
        return
    check_int("--seed", seed, minimum=0)
    number = row.published.trials if trials is None else check_int("--trials", trials, minimum=1)
    _check_files(plot, markdown)
    work, points, stopped = Work(seed, jobs, backend, address), grid.points(row), ""
    size = workers(jobs, backend)
    with _workers(work, size) if points else nullcontext(), _store(out, not points) as store:
        if points:
            _announce(grid, row, len(points), number, seed)
            plan = [(point, number) for point in points]
            _, stopped = run_all(replace(work, jobs=size), plan, store)
        from carrousel.experiments.study.study import find

        found = find(store, row)
    if points and sys.stderr.isatty():
        say("")
    _put(found, as_json)
    _write(found, plot, markdown)
    if stopped:
        say(stopped)
        say("Trials that ended are kept. Go on with:", command=grid.command(work))
        raise typer.Exit(FELL_SHORT)
    if not as_json:
        _tell_what_next(grid, found)


def _check(point: Experiment) -> None:
    """Let a variation that cannot run fail before any other runs."""
    from carrousel.learners import learner_named

    task, network = point.task, point.network
    for what in ("n_inputs", "n_outputs"):
        theirs, ours = getattr(task, what), getattr(network, what)
        if theirs != ours:
            raise SettingError(f"{point.name}: network.{what} is {ours}, but its task has {theirs}")
    try:
        learner_named(point.learner)(network, point.training, 1)
    except CarrouselError as error:
        raise type(error)(f"{point.name}: {error}") from error


def _check_files(plot: Path | None, markdown: Path | None) -> None:
    """Find out that a file cannot be written before the trials run, not after."""
    for option, path in (("--plot", plot), ("--markdown", markdown)):
        if path is not None and not path.absolute().parent.is_dir():
            raise SettingError(f"{option} {path}: there is no folder {path.parent}; make it first")
    if plot is not None and find_spec("matplotlib") is None:
        raise MissingExtraError(
            "--plot needs matplotlib; install it with: pip install 'carrousel[plot]'"
        )


def _workers(work: Work, size: int | None) -> AbstractContextManager[object]:
    """The cluster, which must answer before anything is begun."""
    from carrousel.experiments.run.clusters import cluster

    return cluster(work.backend, work.address, jobs=size)


@contextmanager
def _store(out: Path | None, read_only: bool) -> Iterator[Store]:
    """The store to study; only a run makes one that is not there."""
    if read_only:
        from carrousel.experiments.store.store import Store

        with Store(out or DEFAULT_FOLDER, read_only=True) as store:
            yield store
        return
    with open_store(out) as store:
        if store is None:
            raise SettingError("a study must keep its trials; choose a folder by --out DIR")
        yield store


def _announce(grid: Grid, row: Experiment, points: int, trials: int, seed: int) -> None:
    from carrousel.words import count

    say(
        f"{count(points, 'variation')} of {row.name}, {count(points * trials, 'trial')}. Seed "
        f"{seed}. Kept in {grid.out or DEFAULT_FOLDER}. Ctrl-C stops; the same command goes on."
    )


def _show_settings(row: Experiment, as_json: bool) -> None:
    from carrousel.experiments.recipes.vary import paths_of
    from carrousel.experiments.store.settings import canonical, describe

    found = {path: describe(value) for path, value in paths_of(row).items()}
    if as_json:
        put_json(found)
        return
    width = max(map(len, found))
    for path, value in found.items():
        print(f"{path:<{width}}  {value if isinstance(value, str) else canonical(value)}")


def _tell_what_next(grid: Grid, found: Study) -> None:
    if not found.variations:
        say("See what can be varied:", command=grid.listing)
    elif grid.plot is None:
        say("See the curves:", command=grid.drawing)


def _put(found: Study, as_json: bool) -> None:
    if as_json:
        from carrousel.experiments.study.effects import study_as_json

        put_json(study_as_json(found))
        return
    from carrousel.experiments.study.table import terminal

    console = console_of(sys.stdout)
    console.print(terminal(found, width=console.width))


def _write(found: Study, plot: Path | None, markdown: Path | None) -> None:
    from carrousel.experiments.report.file import write_text

    if plot is not None and not found.variations:
        say(f"{plot} is not written: no trial has ended, so there are no curves yet")
    elif plot is not None:
        from carrousel.experiments.study.plot import study_svg

        write_text(plot, study_svg(found))
        say(f"written: {plot}")
    if markdown is not None:
        from carrousel.experiments.study.table import markdown as as_markdown

        write_text(markdown, as_markdown(found))
        say(f"written: {markdown}")
