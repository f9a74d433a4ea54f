"""The command `carrousel stream`: reads options, runs the evaluation, shows its result."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Callable
from contextlib import ExitStack
from functools import partial
from typing import TYPE_CHECKING, cast

import typer

from carrousel.cli.codes import FELL_SHORT, WRONG_CALL
from carrousel.cli.flags.option import flag_setting, flag_speller, with_options
from carrousel.cli.screen import console_of, put_json, say
from carrousel.cli.stream.check import check, check_same, shown
from carrousel.cli.stream.config import StreamConfig
from carrousel.errors import CarrouselError, DivergedError, SettingError

if TYPE_CHECKING:
    from carrousel.online import Checkpoint, Evaluation, Failure, OnlineLSTM
    from carrousel.online.sinks.file import Sink
    from carrousel.online.sources.types import FileFormat

SECONDS_PER_TICK = 1.0
"""While no rows arrive: time between two checks whether a checkpoint is due."""

EXAMPLES = """Examples:

\b
Predict the next value of a column from all columns; show errors only:
  carrousel stream sensor.csv --predict-next temperature --quiet

\b
Score how unusual each new line of a growing log is, and save checkpoints:
  tail -n +1 -F load.jsonl | carrousel stream --format jsonl --target cpu
    --key host --time at --anomaly --out scores.csv --checkpoint load.ckpt

\b
To resume after a stop of any kind, repeat the command with --resume.
"""


@with_options(StreamConfig)
def stream(config: StreamConfig) -> None:
    """Learn from a stream of rows and predict each row before learning it.

    All errors shown are errors on rows that the model had not seen.
    """
    try:
        check(config)
        complete = _run(config)
    except CarrouselError as error:
        say(_text(error))
        raise typer.Exit(WRONG_CALL) from error
    if not complete:
        raise typer.Exit(FELL_SHORT)


def _run(config: StreamConfig) -> bool:
    """Evaluate the stream and show the result; return whether it was read to its end."""
    from carrousel.cli.stream.display import progress_for
    from carrousel.cli.stream.signals import StopSignals
    from carrousel.online import evaluate, open_rows

    saved = _saved(config)
    with (
        ExitStack() as opened,
        StopSignals() as stop,
        open_rows(
            config.source,
            format=cast("FileFormat | None", config.format),
            follow=config.follow,
            fields=_listed(config.fields),
            delimiter=config.separator,
            start=None if saved is None else saved.position,
            idle=config.idle,
            stop=stop,
            tick=SECONDS_PER_TICK,
        ) as rows,
        progress_for(config.writes_to_stdout and sys.stdout.isatty()) as progress,
    ):
        result = evaluate(
            _model(config) if saved is None else saved.model,
            rows,
            **config.columns(),
            sink=_sink(config, saved, opened),
            metrics=_metrics(config, saved, opened),
            settings=config.settings(),
            resume=saved,
            on_progress=progress.show_if_due,
            stop=stop,
        )
    reason = None
    if result.failure is not None:
        reason = _reason(result.failure)
    elif result.stopped:
        reason = f"Stopped by {stop.received}."
    _show(config, result, reason)
    if reason is not None:
        _show_how_to_resume(config, reason, result.failure)
    return reason is None


def _saved(config: StreamConfig) -> Checkpoint | None:
    """Read the checkpoint to resume from; None: start from the beginning."""
    from carrousel.online import read_checkpoint

    if not config.resume or config.checkpoint is None:
        return None
    if not config.checkpoint.exists():
        say(f"{config.checkpoint} does not exist yet: starting from the beginning.")
        return None
    saved = read_checkpoint(config.checkpoint)
    check_same(config, saved.settings)
    _apply_changes(config, saved.model, "no_experts" in saved.settings)
    return saved


def _apply_changes(config: StreamConfig, model: OnlineLSTM, with_experts: bool) -> None:
    """Give a model the parameters of this call, and say which were others before.

    Args:
        config: of this call.
        model: from the checkpoint.
        with_experts: whether the checkpoint knows the options of expert rules; else its model goes
            on without them.

    Raises:
        SettingError: a parameter cannot change any more.
    """
    before = model.get_params()
    kept = () if with_experts else ("experts", "season", "ahead", "delay", "levels")
    changed = {n: v for n, v in config.changes().items() if v != before[n] and n not in kept}
    model.set_params(**changed)
    if changed:
        flag = flag_speller(StreamConfig)
        off = {"decay": 0}  # what None is on the command line
        told = [
            f"{flag(n)} {shown(before[n], off.get(n))} -> {shown(v, off.get(n))}"
            for n, v in changed.items()
        ]
        say(f"Changed since {config.checkpoint} was written: {', '.join(told)}.")


def _model(config: StreamConfig) -> OnlineLSTM | Callable[[str], OnlineLSTM]:
    """Return the model of a new stream, or the function that creates it."""
    from carrousel.online import OnlineLSTM

    if config.start_from is None:
        return config.create_model
    try:
        learned = OnlineLSTM.load(config.start_from)
    except FileNotFoundError:
        raise SettingError(
            argument="start_from", got=str(config.start_from), expected="a file that exists"
        ) from None
    same = learned.get_params()
    return learned.warm_start(**{n: v for n, v in config.changes().items() if v != same[n]})


def _sink(
    config: StreamConfig, saved: Checkpoint | None, opened: ExitStack
) -> Sink | Callable[[], Sink] | None:
    """Return the output: opened, where a checkpoint has a position in it; else how to open it."""
    from carrousel.online import open_sink

    if config.quiet:
        return None
    out_format = cast("FileFormat | None", config.out_format)
    if saved is None or saved.sink_position is None:
        return partial(open_sink, config.out, out_format)
    sink = open_sink(config.out, out_format, start=saved.sink_position)
    return opened.enter_context(sink)


def _metrics(
    config: StreamConfig, saved: Checkpoint | None, opened: ExitStack
) -> Sink | Callable[[], Sink] | None:
    """Return the file of metrics, like :func:`_sink`."""
    from carrousel.online import open_sink

    if config.metrics is None:
        return None
    if saved is None or saved.metrics_position is None:
        return partial(open_sink, config.metrics, "jsonl")
    return opened.enter_context(open_sink(config.metrics, "jsonl", start=saved.metrics_position))


def _listed(names: str | None) -> list[str] | None:
    return [name.strip() for name in names.split(",")] if names else None


# --- what is shown ----------------------------------------------------------------------------

_flag: Callable[[str], str] = flag_speller(StreamConfig)


def _text(error: CarrouselError, *, fix: bool = True) -> str:
    """Return the text of an error, with arguments spelled as options."""
    return error.text(argument=_flag, setting=flag_setting, fix=fix)


def _reason(failure: Failure) -> str:
    """Why a stream ended early."""
    reason = _text(failure.error, fix=not isinstance(failure.error, DivergedError))
    return reason if failure.first is None else f"{reason}. The first: {_text(failure.first)}"


def _show(config: StreamConfig, result: Evaluation, reason: str | None) -> None:
    """Write the errors to standard output, or to standard error if predictions go there."""
    from carrousel.cli.stream.display import as_json, summary

    if config.as_json:
        task = None if result.model is None else result.model.task
        head = {"predicted": config.subject, "task": task}
        put_json({**head, **as_json(result.status), "stopped": reason})
    else:
        output = sys.stderr if config.out_is_stdout else sys.stdout
        console_of(output).print(summary(result.status, config.subject))


def _show_how_to_resume(config: StreamConfig, reason: str, failure: Failure | None) -> None:
    """Say why a stream ended early and how to resume it."""
    from carrousel.online.clean.values import MISSING

    say(reason)
    if failure is not None and failure.fatal:
        return
    remedy = {} if failure is None else failure.remedy
    if "learning_rate" in remedy:
        say("The model has diverged. A lower --rate may help.")
    elif remedy:
        say("Use --on-error skip to leave such rows out, or hold to repeat the last good value.")
        if failure is not None and MISSING[1] in str(failure.error) and config.missing == "error":
            say("--missing mean replaces missing inputs by their running means.")
    if config.checkpoint is None:
        say("Nothing was saved; with --checkpoint FILE a stream can be resumed.")
    elif config.checkpoint.exists():
        when = "The last checkpoint before that is" if failure and not failure.saved else "Saved"
        words = ["carrousel", *sys.argv[1:]]
        words += [] if "--resume" in words else ["--resume"]
        for name, value in remedy.items():
            words += [_flag(name), f"{value:g}" if isinstance(value, float) else str(value)]
        say(f"{when} in {config.checkpoint}. Resume with:", command=shlex.join(words))
