"""`carrousel fit`."""

from __future__ import annotations

import sys
import time
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import typer

from carrousel.cli.codes import FELL_SHORT
from carrousel.cli.estimators.config import FitConfig
from carrousel.cli.estimators.display import contents, footer, put_measures, write_report
from carrousel.cli.estimators.reading import (
    check_report_extra,
    large,
    read_data,
    read_larger,
    store_columns,
    warnings_as_messages,
)
from carrousel.cli.flags.option import listed, with_options
from carrousel.cli.screen import put_json, say
from carrousel.errors import DataError, SettingError
from carrousel.words import duration

if TYPE_CHECKING:
    from carrousel.estimators.data.table import Table
    from carrousel.estimators.report.predictions import Evaluated

MOST_CLASSES = 30
"""Different whole numbers of a target that are classes at most, unless --task says so."""
SHOWN = 10_000
"""Series that a report describes at most if none were held out."""

EXAMPLES = """Examples:

\b
Classify series; rows of one `person` are one series, in the order of `at`:
  carrousel fit steps.csv --target activity --id person --time at --out model.safetensors

\b
Forecast the next 24 values of `load` from all columns, and write a report:
  carrousel fit load.parquet --task forecast --target load --id meter --time at
    --horizon 24 --season 24 --out load.safetensors --report load.html

\b
Then:
  carrousel score model.safetensors others.csv
  carrousel predict model.safetensors new.csv --at every --out predictions.csv
"""


@with_options(FitConfig)
def fit(config: FitConfig) -> None:
    """Train an estimator on a file of series, and save it.

    A part of the series is held out of each net. The figures shown are those on held-out series.
    """
    config.check()
    if config.data.suffix == ".ts" and not config.target and config.task != "forecast":
        config = replace(config, target=["target"])  # such a file has one target, without a name
    _check_task(config)
    check_report_extra(config.report)
    with warnings_as_messages():
        table = _read(config)
        task = config.task or _task_by(table)
        model = _model(config, task, table)
        say(f"{contents(table.series)}. Task: {_described(config, task, table)}.")
        began = time.monotonic()
        if task == "forecast":
            model.fit(table.series, groups=table.groups)
        else:
            model.fit(table.series, table.y, groups=table.groups)
        seconds = time.monotonic() - began
        store_columns(model, config.columns)
        model.save(config.out)
        found = _held_out(model, task, table, config)
    _show(config, task, model, table, found, seconds)
    if any(member.stopped == "interrupted" for member in model.ensemble_.members):
        say("Stopped early. The model has the best weights until then.")
        raise typer.Exit(FELL_SHORT)


def _read(config: FitConfig) -> Table[Any]:
    """Read the file at once, or copy it to a temporary file to read batches from."""
    series_have_one = config.task in (None, "class", "value")
    if config.read == "disk" and not series_have_one:
        raise SettingError(
            f"--read disk is for --task class or value, not for {config.task}",
            fix="read the file at once with --read memory",
        )
    if config.read == "disk" or (config.read == "auto" and series_have_one and large(config.data)):
        return read_larger(config.data, config.columns)
    return read_data(config.data, config.columns, forecast=config.task == "forecast")


def _check_task(config: FitConfig) -> None:
    if config.task != "forecast":
        if not config.target:
            raise SettingError(
                "the column to predict is not named",
                fix="name it with --target COLUMN, or forecast all channels with --task forecast",
            )
        for flag, value in (
            ("--horizon", config.horizon),
            ("--season", config.season),
            ("--known", config.known),
        ):
            if value is not None:
                raise SettingError(f"{flag} needs --task forecast")


def _task_by(table: Table) -> str:
    """Return the task that the target suggests."""
    if table.per_step:
        return "tags"
    y = np.asarray(table.y)
    if y.ndim > 1:
        return "value"
    return "value" if _are_values(y) else "class"


def _are_values(y: np.ndarray) -> bool:
    """Whether targets are numbers to predict rather than labels.

    >>> _are_values(np.array([0.5, 1.0])), _are_values(np.array([0, 1])), _are_values(np.arange(99))
    (True, False, True)
    """
    if y.dtype.kind not in "iuf":
        return False
    known = y[np.isfinite(y)]
    return bool((known % 1 != 0).any()) or len(np.unique(known)) > MOST_CLASSES


def _model(config: FitConfig, task: str, table: Table) -> Any:
    from carrousel.estimators.catalogue import estimator_class

    settings = {**config.settings(), "verbose": 1}
    if task == "forecast":
        names = {"horizon": config.horizon, "season": config.season}
        settings |= {name: value for name, value in names.items() if value is not None}
        settings |= {"target": listed(config.target)} if config.target else {}
        settings |= {"known": tuple(listed(config.known))} if config.known else {}
    if task == "tags" and not table.per_step:
        raise DataError(
            "the target does not change within any series",
            argument="target",
            fix="use --task class, or name a column with a label for each step",
        )
    if task == "tags" and _are_values(
        np.concatenate([np.asarray(y).ravel() for y in table.y or ()])
    ):
        settings["task"] = "values"
    if config.early is not None:
        if task != "class":
            raise SettingError(f"--early is for classes of series, not for a model of {task}")
        settings["early"] = config.early
    return estimator_class(task)(**settings)


def _described(config: FitConfig, task: str, table: Table) -> str:
    if config.task is None and task in ("class", "value"):
        other = "value" if task == "class" else "class"
        if np.asarray(table.y).dtype.kind in "iuf" and np.asarray(table.y).ndim == 1:
            return f"{task} (--task {other} is the other choice)"
    return task


def _held_out(model: Any, task: str, table: Table, config: FitConfig) -> Evaluated | None:
    """Return predictions for held-out series; None if there are none."""
    from carrousel.estimators.report.evaluate import evaluate_held_out

    if task == "forecast" or not model.held_out_.any():
        return None
    names = config.columns.target
    return evaluate_held_out(model, table.series, table.y, model.held_out_, names)


def _show(
    config: FitConfig,
    task: str,
    model: Any,
    table: Table,
    found: Evaluated | None,
    seconds: float,
) -> None:
    from carrousel.estimators.report.build import Setting
    from carrousel.estimators.report.measures import measures
    from carrousel.estimators.report.model import n_weights

    figures = {} if found is None else measures(found)
    held = 0 if found is None else len(found.series)
    if config.as_json:
        put_json(
            {
                **{"task": task, "model": str(config.out), "series": len(table.series)},
                **{"steps": table.series.n_steps, "channels": list(table.series.channels)},
                **{"weights": n_weights(model.ensemble_), "seconds": round(seconds, 3)},
                "held_out": {"series": held, **figures},
            }
        )
    elif figures:
        say(f"On {held:,} series, each predicted by nets that had not learned it:")
        put_measures(figures)
    say(f"Trained in {duration(seconds)}. written: {config.out}")
    if task == "forecast":
        note = (
            "The nets have learned all series to their ends. Score the model with later values for "
            "its errors."
        )
        if not config.as_json:
            say(note)
    else:
        note = (
            f"{held:,} of {len(table.series):,} series are held out: each is predicted by nets "
            "that have not learned it. These series may also have ended the training and set the "
            "calibration, so new series may be predicted slightly worse."
        )
    setting = Setting(
        f"Training on {config.data.name}",
        f"{type(model).__name__}, trained on {contents(table.series)}.",
        (note,),
        seconds,
        config.out.stat().st_size / 1000,
        footer=footer(),
    )
    rows = np.arange(min(SHOWN, len(table.series)))
    described = table.series.take(rows) if found is None else found.series
    write_report(config.report, found, described, model, setting)
    if config.report is None and sys.stderr.isatty():
        say("Show learning curves, confusion and calibration: add --report report.html")
