"""``carrousel study``: one row under several settings, side by side."""

from __future__ import annotations

import shlex
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from carrousel.cli.options import Address, Backend, Jobs, Json, Recipe, Seed
from carrousel.cli.order import BACKEND, PAPER, SEED, chosen, workers
from carrousel.cli.running import DEFAULT_FOLDER, Work, open_store, run_all
from carrousel.cli.screen import console_of, put_json, say
from carrousel.shapes import SettingError, check_int

if TYPE_CHECKING:
    from carrousel.contracts import Experiment
    from carrousel.experiments.report_study import Study

FELL_SHORT = 1


@dataclass(frozen=True)
class Grid:
    """What a call of ``study`` asks for, as given."""

    name: str
    vary: tuple[str, ...]
    recipe: str
    trials: int | None

    def row(self) -> Experiment:
        """The row whose settings are varied."""
        rows = chosen([self.name], recipe=self.recipe)
        if len(rows) != 1:
            names = ", ".join(row.name for row in rows)
            raise SettingError(f"{self.name!r} is a group of rows; study one of {names}")
        return rows[0]

    def points(self, row: Experiment) -> list[Experiment]:
        """The row's variations, one for each combination of values."""
        from carrousel.experiments.vary import grid, levels_from

        levels = [levels_from(each) for each in self.vary]
        repeated = {field for field, _ in levels if [name for name, _ in levels].count(field) > 1}
        if repeated:
            raise SettingError(
                f"--vary {min(repeated)} was given twice; give all its values at once, a,b,c"
            )
        return grid(row, dict(levels))

    def command(self, work: Work, out: Path | None, as_json: bool) -> str:
        """The command that asks for the same."""
        words = ["carrousel", "study", self.name]
        words += [word for each in self.vary for word in ("--vary", each)]
        words += ["--recipe", self.recipe] if self.recipe != PAPER else []
        words += ["--trials", str(self.trials)] if self.trials is not None else []
        words += ["--seed", str(work.seed)] if work.seed != SEED else []
        words += ["--jobs", str(work.jobs)] if work.jobs is not None else []
        words += ["--backend", work.backend] if work.backend != BACKEND else []
        words += ["--address", work.address] if work.address is not None else []
        words += ["--out", str(out)] if out is not None else []
        return shlex.join([*words, *(["--json"] if as_json else [])])


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
    out: Annotated[
        Path | None,
        typer.Option(
            help=f"Folder that keeps trials; default: {DEFAULT_FOLDER}. Those it holds are not "
            "run again.",
            metavar="DIR",
        ),
    ] = None,
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
    grid = Grid(name, tuple(vary or ()), recipe, trials)
    row = grid.row()
    if settings:
        _show_settings(row, as_json)
        return
    check_int("--seed", seed, minimum=0)
    number = row.published.trials if trials is None else check_int("--trials", trials, minimum=1)
    points = grid.points(row) if vary else []
    work = Work(seed, jobs, backend, address)
    from carrousel.experiments.clusters import cluster
    from carrousel.experiments.report_study import find

    stopped = ""
    with open_store(out) as store:
        if store is None:
            raise SettingError(
                "a study needs a folder that can be written; choose one by --out DIR"
            )
        if points:
            say(
                f"{len(points)} variations of {row.name}, {len(points) * number} trials. Seed "
                f"{seed}. Kept in {out or DEFAULT_FOLDER}. Ctrl-C stops; the same command goes on."
            )
            with cluster(backend, address, jobs=(size := workers(jobs, backend))):
                plan = [(point, number) for point in points]
                _, stopped = run_all(Work(seed, size, backend, address), plan, store)
        found = find(store, row)
    _put(found, as_json, plot, markdown)
    if stopped:
        say(stopped)
        say("Trials that ended are kept. Go on with:", command=grid.command(work, out, as_json))
        raise typer.Exit(FELL_SHORT)


def _show_settings(row: Experiment, as_json: bool) -> None:
    from carrousel.experiments.settings import canonical, describe
    from carrousel.experiments.vary import paths_of

    found = {path: describe(value) for path, value in paths_of(row).items()}
    if as_json:
        put_json(found)
        return
    width = max(map(len, found))
    for path, value in found.items():
        print(f"{path:<{width}}  {value if isinstance(value, str) else canonical(value)}")


def _put(found: Study, as_json: bool, plot: Path | None, markdown: Path | None) -> None:
    from carrousel.experiments import report_study_table as tables
    from carrousel.experiments.report_file import write_text

    if plot is not None:
        from carrousel.experiments.report_study_plot import study_svg

        write_text(plot, study_svg(found))
    if markdown is not None:
        write_text(markdown, tables.markdown(found))
    if as_json:
        from carrousel.experiments.report_study_effects import study_as_json

        put_json(study_as_json(found))
    else:
        console = console_of(sys.stdout)
        console.print(tables.terminal(found, width=console.width))
    for path in (plot, markdown):
        if path is not None:
            say(f"written: {path}")
