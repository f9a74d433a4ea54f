"""The command line: ``carrousel list | show | reproduce | report``.

Exit codes: 0 done; 1 ran, but not all trials asked for have ended (interrupted, disk full, a worker
killed); 2 wrong call. A trial that ended without solving its task is a result, not a shortfall.
Results go to standard output, everything else to standard error; with ``--json`` standard output is
JSON alone. What a command needs is imported when it runs, so that help and lists come at once.
"""

from __future__ import annotations

import json
import os
import shlex
import signal
import sys
import time
from collections.abc import Iterator, Sequence
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Annotated, Any, TextIO

import typer

from carrousel.shapes import CarrouselError, SettingError, StoreError, check_choice, check_int

if TYPE_CHECKING:
    from rich.console import Console, RenderableType

    from carrousel.contracts import Experiment
    from carrousel.experiments.report import Entry, Report
    from carrousel.experiments.report_progress import ProgressBars
    from carrousel.experiments.runner import Progress
    from carrousel.experiments.store import Store

DONE, FELL_SHORT, WRONG_CALL = 0, 1, 2
SEED = 1997
DEFAULT_FOLDER = Path("runs")
WIDE = 110
"""Columns from which tables show titles, intervals and medians too; also for files and pipes."""

app = typer.Typer(
    name="carrousel",
    help="Long short-term memory as published in 1997: its experiments, run again.",
    add_completion=False,
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
Json = Annotated[bool, typer.Option("--json", help="Write JSON to standard output.")]


def main() -> None:
    """Run the command line; errors of ours become one line and exit code 2."""
    for stream in (sys.stdout, sys.stderr):
        reconfigure = getattr(stream, "reconfigure", None)
        if reconfigure:  # a terminal without Unicode shows "?" instead of stopping the program
            reconfigure(errors="replace")
    try:
        app(prog_name="carrousel")
    except CarrouselError as error:
        _say(str(error))
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
def list_(as_json: Json = False) -> None:
    """List all experiments with the published figures."""
    from carrousel.experiments import EXPERIMENTS
    from carrousel.experiments.report_show import list_as_json, table_of

    if as_json:
        _print_json([list_as_json(each) for each in EXPERIMENTS.values()])
    else:
        _print(table_of(EXPERIMENTS.values()))


@app.command()
def show(
    name: Annotated[str, typer.Argument(help="Name of the experiment, e.g. 4-1.", metavar="NAME")],
    as_json: Json = False,
) -> None:
    """Show one experiment in full."""
    from carrousel.experiments import report_show

    experiment = _experiment(name)
    if as_json:
        _print_json(report_show.show_as_json(experiment))
    else:
        _print(report_show.show(experiment))


@dataclass(frozen=True)
class Order:
    """What a call of ``reproduce`` asks for; ``trials`` and ``jobs`` as given, for repeating it."""

    names: tuple[str, ...]
    everything: bool
    trials: int | None
    seed: int
    jobs: int | None
    backend: str
    out: Path | None
    as_json: bool

    @property
    def command(self) -> str:
        """The command that asks for the same."""
        words = ["carrousel", "reproduce", *self.names]
        words += ["--all"] if self.everything else []
        words += ["--trials", str(self.trials)] if self.trials is not None else []
        words += ["--seed", str(self.seed)] if self.seed != SEED else []
        words += ["--jobs", str(self.jobs)] if self.jobs is not None else []
        words += ["--backend", self.backend] if self.backend != "loky" else []
        words += ["--out", str(self.out)] if self.out is not None else []
        return shlex.join([*words, *(["--json"] if self.as_json else [])])

    def plan(self) -> list[tuple[Experiment, int]]:
        """Experiments and how many trials of each."""
        from carrousel.experiments import EXPERIMENTS, TOUR

        if self.names and self.everything:
            raise SettingError("names and --all contradict each other; give one of the two")
        if self.trials is not None:
            check_int("--trials", self.trials, minimum=1)
        names = list(EXPERIMENTS) if self.everything else list(dict.fromkeys(self.names))
        rows = [(_experiment(name), None) for name in names]
        if not names:
            rows = [(_experiment(name), number) for name, number in TOUR]
        return [(row, self.trials or number or row.published.trials) for row, number in rows]


@app.command()
def reproduce(
    names: Annotated[
        list[str] | None,
        typer.Argument(help="Experiments; none for a tour of headline rows.", metavar="NAME"),
    ] = None,
    everything: Annotated[bool, typer.Option("--all", help="All experiments.")] = False,
    trials: Annotated[
        int | None,
        typer.Option(help="Trials of each; default: as many as the paper.", metavar="N"),
    ] = None,
    seed: Annotated[int, typer.Option(help="Seed of the run.", metavar="S")] = SEED,
    jobs: Annotated[
        int | None,
        typer.Option(help="Worker processes; default: one for each usable core.", metavar="N"),
    ] = None,
    backend: Annotated[
        str, typer.Option(help="Where workers run: loky (here), dask or ray.", metavar="NAME")
    ] = "loky",
    out: Annotated[
        Path | None,
        typer.Option(
            help=f"Folder that keeps trials; default: {DEFAULT_FOLDER}. Those it holds are not "
            "run again.",
            metavar="DIR",
        ),
    ] = None,
    as_json: Json = False,
) -> None:
    """Run experiments; print ours beside the paper's.

    Stopped at any moment, the same command goes on where it was.
    """
    order = Order(tuple(names or ()), everything, trials, seed, jobs, backend, out, as_json)
    plan = order.plan()
    check_int("--seed", seed, minimum=0)
    jobs = usable_cores() if jobs is None else check_int("--jobs", jobs, minimum=1)
    from carrousel.experiments.runner import BACKENDS

    check_choice("--backend", backend, BACKENDS)
    with _open_store(out) as store:
        _announce(order, plan, store)
        entries, stopped = _run_all(order, plan, jobs, store)
    if as_json:
        _print_json([entry.summary.as_json() for entry in entries])
    elif entries:
        from carrousel.experiments.report import Report

        _print_report(Report(tuple(entries), ()))
    if stopped:
        _say(stopped)
        if store is not None:
            _say(f"Trials that ended are kept. Go on with: {order.command}")
        raise typer.Exit(FELL_SHORT)
    if store is not None:
        where = shlex.quote(str(out or DEFAULT_FOLDER))
        _say(f"Learning curves: carrousel report {where} --html report.html")


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
    from carrousel.experiments import EXPERIMENTS
    from carrousel.experiments import report as reports
    from carrousel.experiments.report_file import write_text
    from carrousel.experiments.store import Store

    with Store(folder, read_only=True) as store:
        found = reports.collect(store, EXPERIMENTS)
    if html is not None:
        from carrousel.experiments.report_html import html as page

        write_text(html, page(found))
    if markdown is not None:
        write_text(markdown, reports.markdown(found))
    _print_report(found)
    for path in (html, markdown):
        if path is not None:
            _say(f"written: {path}")


def usable_cores() -> int:
    """Cores this process may use: its affinity, and the quota of its control group if any."""
    try:
        cores = len(os.sched_getaffinity(0))
    except AttributeError:  # not on macOS
        cores = os.cpu_count() or 1
    try:
        quota, period = Path("/sys/fs/cgroup/cpu.max").read_text("ascii").split()
        cores = min(cores, max(1, int(quota) // int(period)))
    except (OSError, ValueError):  # no control groups, or no quota ("max")
        pass
    return cores


@contextmanager
def _open_store(out: Path | None) -> Iterator[Store | None]:
    """The store to use; none if the default folder will not do, which is no reason not to run."""
    from carrousel.experiments.store import Store

    if out is not None:
        with Store(out) as store:
            yield store
        return
    try:
        store = Store(DEFAULT_FOLDER)
    except StoreError as error:
        _say(f"{error}. This time nothing will be kept; --out DIR keeps trials elsewhere.")
        yield None
        return
    with store:
        yield store


def _announce(order: Order, plan: Sequence[tuple[Experiment, int]], store: Store | None) -> None:
    trials = sum(number for _, number in plan)
    rows = f"{len(plan)} experiment{'s' if len(plan) > 1 else ''}, {trials} trials"
    if not order.names and not order.everything:
        rows = f"A tour of {rows}: within two minutes on two cores"
    elif order.everything:
        rows = f"Everything: {rows}; this takes hours"
    where = "" if store is None else f" Kept in {order.out or DEFAULT_FOLDER}."
    stops = " Ctrl-C stops; the same command goes on." if store is not None else ""
    _say(f"{rows}. Seed {order.seed}.{where}{stops}")


def _run_all(
    order: Order, plan: Sequence[tuple[Experiment, int]], jobs: int, store: Store | None
) -> tuple[list[Entry], str]:
    """Run what is planned; if that stops early, also say why in a sentence."""
    from carrousel.experiments import report as reports
    from carrousel.experiments.report_progress import ProgressBars

    entries: list[Entry] = []
    with _terminated_like_interrupted(), ProgressBars(_console(sys.stderr)) as bars:
        for experiment, number in plan:
            try:
                entries.append(_run(experiment, number, order, jobs, store, bars))
                continue
            except KeyboardInterrupt:
                stopped = f"Stopped in {experiment.name}."
            except BrokenProcessPool:
                stopped = f"Stopped in {experiment.name}: a worker was killed (out of memory?)."
            except StoreError as error:
                stopped = f"Stopped in {experiment.name}: {error}."
            if store is not None:
                with suppress(StoreError):
                    entries.append(reports.stored(store, experiment, order.seed, number))
            return entries, stopped
    return entries, ""


def _run(
    experiment: Experiment,
    number: int,
    order: Order,
    jobs: int,
    store: Store | None,
    bars: ProgressBars,
) -> Entry:
    from carrousel.experiments import report as reports
    from carrousel.experiments import runner

    ended = 0
    if store is not None:
        ended = len(reports.stored(store, experiment, order.seed, number).trials)
    bars.begin(experiment, trials=number, ended=ended)

    def on_progress(now: Progress) -> None:
        bars.update(trials_done=now.trials_done, sequences=now.sequences, seconds=now.seconds)

    began = time.perf_counter()
    trials = runner.run(
        experiment,
        trials=number,
        seed=order.seed,
        jobs=jobs,
        store=store,
        backend=order.backend,
        on_progress=on_progress,
    )
    if store is not None:
        return reports.stored(store, experiment, order.seed, number)
    return reports.unstored(experiment, trials, order.seed, time.perf_counter() - began)


@contextmanager
def _terminated_like_interrupted() -> Iterator[None]:
    """Let SIGTERM stop a run as Ctrl-C does: with a table, and with no worker left behind."""

    def interrupt(number: int, frame: FrameType | None) -> None:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGTERM, interrupt)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _experiment(name: str) -> Experiment:
    from carrousel.experiments import EXPERIMENTS

    return EXPERIMENTS[check_choice("experiment", name, EXPERIMENTS)]


def _console(stream: TextIO) -> Console:
    from rich.console import Console

    # Nobody wraps lines in a file or a pipe, so there they may be long.
    return Console(file=stream, width=None if stream.isatty() else WIDE + 30, highlight=False)


def _print(what: RenderableType) -> None:
    _console(sys.stdout).print(what)


def _print_report(found: Report) -> None:
    from carrousel.experiments.report import terminal

    console = _console(sys.stdout)
    console.print(terminal(found, wide=console.width >= WIDE))


def _print_json(value: Any) -> None:
    print(json.dumps(value, indent=2, allow_nan=False))


def _say(message: str) -> None:
    _console(sys.stderr).print(message, markup=False, soft_wrap=True)
