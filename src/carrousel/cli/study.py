"""`carrousel study`: one row under several settings, compared."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from carrousel.cli.codes import FELL_SHORT
from carrousel.cli.options import (
    BACKEND,
    DEFAULT_FOLDER,
    SEED,
    Address,
    Backend,
    Jobs,
    Json,
    Out,
    Recipe,
    RunOptions,
    Seed,
    Trials,
)
from carrousel.cli.running import Finished, open_store, run_all
from carrousel.cli.screen import console_of, put_json, say, write_text
from carrousel.cli.selection import PAPER, select
from carrousel.errors import MissingExtraError, SettingError
from carrousel.files import check_distinct
from carrousel.words import count

if TYPE_CHECKING:
    from carrousel.contracts import Experiment
    from carrousel.experiments.store.store import Store
    from carrousel.experiments.study.study import Study


@dataclass(frozen=True)
class StudyRequest:
    """What one call of ``study`` runs and shows.

    Args:
        name: name of the row.
        run: how trials are run and stored.
        vary: values of ``--vary``.
        recipe: the recipe that is applied to the row.
        plot: file for the plot.
        markdown: file for the tables.
        as_json: whether results are written as JSON.
    """

    name: str
    run: RunOptions
    vary: tuple[str, ...]
    recipe: str
    plot: Path | None
    markdown: Path | None
    as_json: bool

    def row(self) -> Experiment:
        """Return the row whose settings are varied.

        Raises:
            SettingError: the name is that of a group with several rows.
            UnknownNameError: the name or recipe is unknown.
        """
        rows = select([self.name], recipe=self.recipe)
        if len(rows) != 1:
            names = ", ".join(row.name for row in rows)
            raise SettingError(f"{self.name!r} is a group of rows", fix=f"study one of {names}")
        return rows[0]

    def points(self, row: Experiment) -> list[Experiment]:
        """Return the variations of a row for all combinations of values; [] without ``vary``.

        Raises:
            SettingError: a value is not allowed, or a setting is given twice.
            UnknownNameError: a setting is unknown.
        """
        from carrousel.experiments.recipes.choices import check_runs
        from carrousel.experiments.recipes.vary import full_path, grid, levels_from

        levels: dict[str, list[object]] = {}
        for each in self.vary:
            field, values = levels_from(each)
            path = full_path(row, field)
            if path in levels:
                raise SettingError(
                    f"--vary {path} was given twice", fix="give all its values in one option"
                )
            levels[path] = values
        points = grid(row, levels) if levels else []
        for point in points:
            check_runs(point)
        return points

    @property
    def command(self) -> str:
        """The command that makes the same request."""
        words = [*self._start, *(word for each in self.vary for word in ("--vary", each))]
        words += self.run.words
        words += ["--plot", str(self.plot)] if self.plot is not None else []
        words += ["--markdown", str(self.markdown)] if self.markdown is not None else []
        return shlex.join([*words, *(["--json"] if self.as_json else [])])

    @property
    def plot_command(self) -> str:
        """The command that plots the stored trials."""
        where = ["--out", str(self.run.out)] if self.run.out is not None else []
        return shlex.join([*self._start, *where, "--plot", "curves.svg"])

    @property
    def settings_command(self) -> str:
        """The command that lists the settings that can be varied."""
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
            help="A setting and its values, e.g. training.rate=0.1,0.5 or rate=0.1,0.5. Repeat "
            "the option to run a grid. Without it, show stored trials.",
            metavar="FIELD=A,B,C",
        ),
    ] = None,
    settings: Annotated[
        bool,
        typer.Option(
            "--settings", help="List the settings that can be varied and their values, and exit."
        ),
    ] = False,
    recipe: Recipe = PAPER,
    trials: Trials = None,
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
    """Compare one experiment under several settings.

    Unsolved trials count as censored (for medians). The verdict is pending until as many trials
    have ended as the paper ran. A stopped run continues when the same command is given again.
    """
    run = RunOptions(trials, seed, jobs, backend, address, out)
    request = StudyRequest(name, run, tuple(vary or ()), recipe, plot, markdown, as_json)
    row = request.row()
    if settings:
        _show_settings(row, as_json)
        return
    number = trials or row.published.trials
    _check_files(out, plot, markdown)
    points, done = request.points(row), None
    with _workers(run) if points else nullcontext(), _store(out, not points) as store:
        if points:
            _announce(request, row, len(points), number)
            done = run_all(run, [(point, number) for point in points], store)
        from carrousel.experiments.study.study import find

        found = find(store, row)
    if done:
        _say_how_it_ran(done)
    _put(found, as_json)
    _write(found, plot, markdown)
    if done and done.stopped:
        say(done.stopped)
        say("Ended trials are stored. Continue with:", command=request.command)
        raise typer.Exit(FELL_SHORT)
    if not as_json:
        _suggest(request, found)


def _say_how_it_ran(done: Finished) -> None:
    if sys.stderr.isatty():
        say("")
    if done.efficiency:
        say(done.efficiency)


def _check_files(out: Path | None, plot: Path | None, markdown: Path | None) -> None:
    """Raise if a file cannot be written, before the trials run."""
    from carrousel.experiments.store.store import FILE_NAME

    store = None if out is None else out / FILE_NAME
    check_distinct([("the store", store), ("--plot", plot), ("--markdown", markdown)])
    for option, path in (("--plot", plot), ("--markdown", markdown)):
        if path is not None and not path.absolute().parent.is_dir():
            raise SettingError(
                f"{option} {path}: there is no folder {path.parent}", fix="create it first"
            )
    if plot is not None and find_spec("matplotlib") is None:
        raise MissingExtraError(
            "--plot needs matplotlib", fix="install it with: pip install 'carrousel[plot]'"
        )


def _workers(run: RunOptions) -> AbstractContextManager[object]:
    """Connect to the cluster before anything runs."""
    from carrousel.experiments.run.clusters import cluster

    return cluster(run.backend, run.address, jobs=run.workers)


@contextmanager
def _store(out: Path | None, read_only: bool) -> Iterator[Store]:
    """Open the store of a study; only a run creates a missing one."""
    if read_only:
        from carrousel.experiments.store.store import Store

        with Store(out or DEFAULT_FOLDER, read_only=True) as store:
            yield store
        return
    with open_store(out) as store:
        if store is None:
            raise SettingError(
                "a study needs a folder for its trials", fix="choose a folder with --out DIR"
            )
        yield store


def _announce(request: StudyRequest, row: Experiment, points: int, trials: int) -> None:
    run = request.run
    say(
        f"{count(points, 'variation')} of {row.name}, {count(points * trials, 'trial')}. Seed "
        f"{run.seed}. Stored in {run.folder}. Ctrl-C stops; the same command continues."
    )


def _show_settings(row: Experiment, as_json: bool) -> None:
    """List the settings of which another value runs, and such values."""
    from carrousel.experiments.recipes.choices import choices_of
    from carrousel.experiments.store.settings import canonical, describe

    def text(value: object) -> str:
        return value if isinstance(value, str) else canonical(describe(value))

    found = choices_of(row)
    if as_json:
        put_json(
            {
                each.path: {
                    "value": describe(each.value),
                    "values": describe(each.values),
                    "others": each.others,
                }
                for each in found
            }
        )
        return
    lines = [
        (each.path, text(each.value), ", ".join(map(text, each.values)), each.others)
        for each in found
    ]
    widths = [max(len(line[column]) for line in lines) for column in (0, 1)]
    for path, value, values, others in lines:
        allowed = f"{values}, {others}" if values and others else values or others
        print(f"{path:<{widths[0]}}  {value:<{widths[1]}}  {allowed}")


def _suggest(request: StudyRequest, found: Study) -> None:
    if not found.variations:
        say("List the settings that can be varied:", command=request.settings_command)
    elif request.plot is None:
        say("Plot the survival curves:", command=request.plot_command)


def _put(found: Study, as_json: bool) -> None:
    if as_json:
        from carrousel.experiments.study.effects import study_as_json

        put_json(study_as_json(found))
        return
    from carrousel.experiments.study.table import terminal

    console = console_of(sys.stdout)
    console.print(terminal(found, width=console.width))


def _write(found: Study, plot: Path | None, markdown: Path | None) -> None:
    if plot is not None and not found.variations:
        say(f"{plot} was not written: no trial has ended yet")
    elif plot is not None:
        from carrousel.experiments.study.plot import study_svg

        write_text(plot, study_svg(found))
        say(f"written: {plot}")
    if markdown is not None:
        from carrousel.experiments.study.table import markdown as as_markdown

        write_text(markdown, as_markdown(found))
        say(f"written: {markdown}")
