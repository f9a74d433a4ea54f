"""``carrousel stream``: learn a stream of rows as it comes, and write predictions as it goes."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from carrousel.cli.options import SEED
from carrousel.cli.screen import console_of, put_json, say
from carrousel.cli.stream.command_line import again
from carrousel.online.evaluate.settings import Wish, names

if TYPE_CHECKING:
    from carrousel.online.evaluate.session import Failure, Work

FELL_SHORT = 1
SECONDS_PER_TICK = 1.0
"""While nothing comes: time between two looks at whether a checkpoint is due."""

ROWS, TARGET, MODEL = "Rows", "What is predicted", "Model"
WRITTEN, KEPT = "What is written", "Stopping and going on"

EXAMPLES = """Examples:

\b
Forecast the next value of a column, from all columns; show errors only:
  carrousel stream sensor.csv --predict-next temperature --quiet

\b
Tell what is unusual in a log that grows, and keep what was learned:
  tail -n +1 -F load.jsonl | carrousel stream --format jsonl --target cpu
    --key host --time at --anomaly --out scores.csv --checkpoint load.ckpt

\b
Go on after a stop of any kind: the same command with --resume.
"""


def _option(panel: str, help: str, metavar: str | None = None, name: str = "") -> Any:
    names = (name,) if name else ()
    return typer.Option(*names, help=help, metavar=metavar, rich_help_panel=panel)


def stream(
    source: Annotated[
        str,
        typer.Argument(
            help="A file, - for standard input, or kafka://HOST:PORT/TOPIC.", metavar="SOURCE"
        ),
    ] = "-",
    target: Annotated[
        str | None,
        _option(TARGET, "Predict this column from the others of the same row.", "COLUMN"),
    ] = None,
    predict_next: Annotated[
        str | None,
        _option(TARGET, "Predict the next value of this column, from all columns.", "COLUMN"),
    ] = None,
    task: Annotated[
        str,
        _option(
            TARGET,
            "regression, binary, multiclass, next (symbols: that column alone is read) or auto: "
            "regression if the first rows hold numbers there, else multiclass or next.",
            "NAME",
        ),
    ] = "auto",
    format: Annotated[
        str | None, _option(ROWS, "csv, jsonl or arrow; default: by the name, else csv.", "NAME")
    ] = None,
    fields: Annotated[
        str | None, _option(ROWS, "Names of the columns of a CSV without a header.", "A,B,C")
    ] = None,
    delimiter: Annotated[
        str | None,
        _option(
            ROWS, "Between the values of a CSV; default: a comma, a tab (\\t) for .tsv.", "CHAR"
        ),
    ] = None,
    follow: Annotated[
        bool, _option(ROWS, "Wait for more at the end of a file.", name="--follow")
    ] = False,
    idle: Annotated[
        float | None,
        _option(ROWS, "With --follow: end after so long without a row.", "SECONDS"),
    ] = None,
    key: Annotated[
        str | None,
        _option(ROWS, "Rows of each value of this column are a stream of their own.", "COLUMN"),
    ] = None,
    streams: Annotated[
        int | None,
        _option(
            ROWS,
            "With --key: streams at a time, default 1000; one more ends that unseen for longest.",
            "N",
        ),
    ] = None,
    evict_after: Annotated[
        int | None,
        _option(ROWS, "With --key: a key unseen for N rows begins anew when it returns.", "N"),
    ] = None,
    time: Annotated[
        str | None,
        _option(ROWS, "Column of time: must not go back, is no input.", "COLUMN"),
    ] = None,
    ignore: Annotated[str | None, _option(ROWS, "Columns that are left out.", "A,B,C")] = None,
    categories: Annotated[
        str | None,
        _option(ROWS, "Columns of numbers that are names, such as codes.", "A,B,C"),
    ] = None,
    on_error: Annotated[
        str,
        _option(
            ROWS, "A bad row: fail (stop before it), skip, or hold (take what came last).", "NAME"
        ),
    ] = "fail",
    missing: Annotated[
        str, _option(ROWS, "An absent number: error (a bad row) or mean (of those seen).", "NAME")
    ] = "error",
    unseen: Annotated[
        str,
        _option(ROWS, "A new category or class: grow (a place for it) or error.", "NAME"),
    ] = "grow",
    cells: Annotated[int, _option(MODEL, "Memory cells.", "N")] = 32,
    gradient: Annotated[
        str, _option(MODEL, "truncated (1997), rtrl (exact, slow), snap:1 or uoro.", "NAME")
    ] = "truncated",
    optimizer: Annotated[str, _option(MODEL, "rmsprop, adam or sgd.", "NAME")] = "rmsprop",
    rate: Annotated[float, _option(MODEL, "Learning rate, at first.", "X")] = 0.003,
    decay: Annotated[
        float,
        _option(
            MODEL,
            "Rows after which the rate has begun to fall, like a root, to no less than a tenth; 0: "
            "it stays.",
            "N",
        ),
    ] = 10_000.0,
    no_forget_gate: Annotated[
        bool, _option(MODEL, "Cells as of 1997.", name="--no-forget-gate")
    ] = False,
    no_standardise: Annotated[
        bool, _option(MODEL, "Take numbers as they are.", name="--no-standardise")
    ] = False,
    horizon: Annotated[
        float | None,
        _option(
            MODEL, "Running means forget what is older than about N rows; default: never.", "N"
        ),
    ] = None,
    seed: Annotated[int, _option(MODEL, "Seed of the first weights.", "S")] = SEED,
    out: Annotated[
        str | None,
        _option(WRITTEN, "Write rows there, or to kafka://; default: standard output.", "FILE"),
    ] = None,
    out_format: Annotated[
        str | None, _option(WRITTEN, "csv, jsonl or arrow; default: by the name, else csv.", "NAME")
    ] = None,
    quiet: Annotated[
        bool, _option(WRITTEN, "Write no rows, only the errors at the end.", name="--quiet")
    ] = False,
    anomaly: Annotated[
        bool,
        _option(
            WRITTEN,
            "A column from 0 to 1: how unusual the error is among the last; 1 row in 100 is above "
            "0.99 where nothing changes.",
            name="--anomaly",
        ),
    ] = False,
    window: Annotated[
        int, _option(WRITTEN, "What 'the last rows' are, for errors and --anomaly.", "N")
    ] = 1000,
    as_json: Annotated[
        bool, _option(WRITTEN, "Write errors as JSON to standard output.", name="--json")
    ] = False,
    checkpoint: Annotated[
        Path | None,
        _option(KEPT, "Keep there all it takes to go on: at times, and at every end.", "FILE"),
    ] = None,
    checkpoint_every: Annotated[
        float, _option(KEPT, "Time between two checkpoints.", "SECONDS")
    ] = 30.0,
    resume: Annotated[
        bool,
        _option(KEPT, "Go on from the checkpoint, if there is one.", name="--resume"),
    ] = False,
) -> None:
    """Learn a stream of rows as it comes.

    Each row is predicted before it is learned: the errors shown are those on rows never seen.
    """
    wish = Wish(**locals())  # the options, by name
    wish.check()
    if not _run(wish):
        raise typer.Exit(FELL_SHORT)


def _run(wish: Wish) -> bool:
    """Take the stream; whether it came to its end."""
    from carrousel.cli.stream.display import progress_for
    from carrousel.cli.stream.stopping import Stopping
    from carrousel.online.evaluate.checkpoint import found
    from carrousel.online.evaluate.session import Work
    from carrousel.online.sources.open import open_rows
    from carrousel.online.sources.text import Position

    kept = found(wish)
    if wish.resume and kept is None:
        say(f"{wish.checkpoint} is not there yet: the stream begins.")
    with (
        Stopping() as stopping,
        open_rows(
            wish.source,
            format=wish.format,
            follow=wish.follow,
            fields=names(wish.fields) or None,
            delimiter=wish.between,
            start=None if kept is None else Position.of(kept.place.source),
            idle=wish.idle,
            stop=stopping,
            tick=SECONDS_PER_TICK,
        ) as rows,
    ):
        work = Work(wish, rows, kept, stopping)
        try:
            with progress_for(wish.writes_to_output and sys.stdout.isatty()) as progress:
                failure = work.run(progress)
            failure = work.finish(failure)
        finally:
            work.close()
    stopped = failure.why if failure else f"Stopped by {stopping.asked}." if stopping() else None
    _tell(wish, work, stopped)
    if stopped is not None:
        _tell_how_to_go_on(wish, work, stopped, failure)
    return stopped is None


def _tell(wish: Wish, work: Work, stopped: str | None) -> None:
    """Put out the figures: to standard output, unless rows are there."""
    from carrousel.cli.stream.display import as_json, summary

    if wish.as_json:
        task = None if work.learner is None else work.learner.task
        told = {"predicted": wish.what, "task": task, **as_json(work.standing())}
        put_json({**told, "stopped": stopped})
    else:
        stream = sys.stderr if wish.writes_to_output else sys.stdout
        console_of(stream).print(summary(work.standing(), wish.what))


def _tell_how_to_go_on(wish: Wish, work: Work, stopped: str, failure: Failure | None) -> None:
    """Say why a stream has ended early, and what to do."""
    say(stopped)
    if failure is not None and failure.hopeless:
        return
    change = "" if failure is None else failure.change
    if change.startswith("--rate"):
        say("The model no longer learns. A lower --rate may help.")
    elif change:
        say("Leave such rows out by --on-error skip, or hold what came last by --on-error hold.")
    if wish.checkpoint is None:
        say("Nothing is kept; --checkpoint FILE keeps what it takes to go on.")
    elif wish.checkpoint.exists():
        when = "" if failure is None or failure.can_keep else "as it was before "
        say(f"Kept {when}in {wish.checkpoint}. Go on with:", command=again(change))
